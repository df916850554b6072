//! `init`, `repair`, `sql`.

use serde_json::{Map, Value, json};
use tensoratom::{Error, Options, RepairOptions, Result, SqlValue, Store};

use crate::args::{Init, Repair, Sql};
use crate::output::{Align, BAD, FAINT, GOOD, Outcome, grouped, plain_text, print_json, print_table, say, size};
use crate::progress::Follow;

pub(crate) fn init(args: &Init) -> Result<Outcome> {
    let chunk_bytes =
        u32::try_from(args.chunk_size).map_err(|_| Error::invalid_argument("chunks are that small at most: 64MiB"))?;
    let options = Options::new().segment_bytes(args.segment_size).chunk_bytes(chunk_bytes);
    let store = Store::create(&args.store.store, &options)?;
    say!(
        "{GOOD}created{GOOD:#} {} {FAINT}(id {}, segments of {}, chunks of {}){FAINT:#}",
        args.store.store.display(),
        store.uuid(),
        size(store.segment_bytes()),
        size(u64::from(store.chunk_bytes())),
    );
    Ok(Outcome::Done)
}

pub(crate) fn repair(args: &Repair) -> Result<Outcome> {
    let options = RepairOptions::new().rebuild_catalog(args.rebuild_catalog);
    let report = Follow::new("repair").run(|control| tensoratom::repair(&args.store.store, &options, control))?;
    if args.json {
        let missing: Vec<Value> = report.commits_missing.iter().map(|(first, last)| json!([first, last])).collect();
        print_json(&json!({
            "identity_rewritten": report.identity_rewritten,
            "catalog_rebuilt": report.catalog_rebuilt,
            "segments_scanned": report.segments_scanned,
            "records_found": report.records_found,
            "commits_applied": report.commits_applied,
            "commits_missing": missing,
            "atoms": report.atoms,
            "findings": report.findings,
        }));
        return Ok(Outcome::Done);
    }
    if report.identity_rewritten {
        say!("{GOOD}rewrote{GOOD:#} store.json from the segments");
    }
    if report.catalog_rebuilt {
        say!(
            "{GOOD}rebuilt{GOOD:#} the catalog: {} commits from {} records in {} segments, {} atoms",
            grouped(report.commits_applied),
            grouped(report.records_found),
            grouped(report.segments_scanned),
            grouped(report.atoms),
        );
        say!("  the old catalog is kept as catalog.old.tadb; delete it when you are satisfied");
    }
    for (first, last) in &report.commits_missing {
        say!("{BAD}missing{BAD:#}: the records of commits {first} to {last}; what only they changed is lost");
    }
    for finding in &report.findings {
        say!("  {}", plain_text(finding));
    }
    if !report.identity_rewritten && !report.catalog_rebuilt && report.findings.is_empty() {
        say!("nothing to repair");
    }
    Ok(Outcome::Done)
}

pub(crate) fn sql(args: &Sql) -> Result<Outcome> {
    let store = super::open_to_read(&args.store.store)?;
    let result = store.query(&args.query, args.row_limit)?;
    if args.json {
        let rows = result.rows.iter().map(|row| {
            let cells = result.columns.iter().cloned().zip(row.iter().map(value_json));
            Value::Object(cells.collect::<Map<String, Value>>())
        });
        print_json(&Value::Array(rows.collect()));
        return Ok(Outcome::Done);
    }
    let is_number = |column: usize| {
        result.rows.iter().all(|row| matches!(row[column], SqlValue::Integer(_) | SqlValue::Real(_) | SqlValue::Null))
    };
    let align = |column| if is_number(column) { Align::Right } else { Align::Left };
    let headings: Vec<(&str, Align)> =
        result.columns.iter().enumerate().map(|(i, name)| (name.as_str(), align(i))).collect();
    let rows: Vec<Vec<String>> = result.rows.iter().map(|row| row.iter().map(value_text).collect()).collect();
    print_table(&headings, &rows);
    say!("{FAINT}{} rows{FAINT:#}", grouped(result.rows.len() as u64));
    Ok(Outcome::Done)
}

fn value_text(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => String::new(),
        SqlValue::Integer(n) => n.to_string(),
        SqlValue::Real(x) => x.to_string(),
        SqlValue::Text(text) => plain_text(text),
        SqlValue::Blob(bytes) => hex(bytes),
    }
}

fn value_json(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(n) => json!(n),
        SqlValue::Real(x) => json!(x),
        SqlValue::Text(text) => json!(text),
        SqlValue::Blob(bytes) => json!(hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
