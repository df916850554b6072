//! `init`, `repair`, `sql`.

use serde_json::{Map, Value, json};
use tensoratom::{Error, Options, QueryResult, RepairOptions, Result, SqlValue, Store};

use crate::args::{Init, Repair, Sql};
use crate::output::{Align, BAD, FAINT, GOOD, JsonList, Outcome, Table, count, plain_text, print_json, say, size};
use crate::progress::Follow;

pub(crate) fn init(args: &Init) -> Result<Outcome> {
    let chunk_bytes =
        u32::try_from(args.chunk_size).map_err(|_| Error::invalid_argument("chunks are that small at most: 64MiB"))?;
    let mut options = Options::new().segment_bytes(args.segment_size).chunk_bytes(chunk_bytes);
    if let Some(directory) = &args.cold {
        options = options.cold_directory(super::from_here(directory)?);
    }
    let path = &args.store.store;
    let store = Store::create(path, &options).map_err(|e| e.with_path(path))?;
    if args.json {
        print_json(&json!({
            "uuid": store.uuid(), "segment_bytes": store.segment_bytes(), "chunk_bytes": store.chunk_bytes(),
        }))?;
        return Ok(Outcome::Done);
    }
    say!(
        "{GOOD}created{GOOD:#} {} {FAINT}(id {}, segments of {}, chunks of {}){FAINT:#}",
        plain_text(&path.display().to_string()),
        store.uuid(),
        size(store.segment_bytes()),
        size(u64::from(store.chunk_bytes())),
    )?;
    Ok(Outcome::Done)
}

pub(crate) fn repair(args: &Repair) -> Result<Outcome> {
    let path = &args.store.store;
    let options = RepairOptions::new().rebuild_catalog(args.rebuild_catalog).without_cold(args.without_cold);
    let report = Follow::new("repair").run(|control| tensoratom::repair(path, &options, control));
    let report = report.map_err(|e| e.with_path(path))?;
    if args.json {
        print_json(&json!(report))?;
        return Ok(Outcome::Done);
    }
    if report.identity_rewritten {
        say!("{GOOD}rewrote{GOOD:#} store.json from the segments")?;
    }
    if report.catalog_rebuilt {
        say!(
            "{GOOD}rebuilt{GOOD:#} the catalog: {} from {} in {}, {}",
            count(report.commits_applied, "commit"),
            count(report.records_found, "record"),
            count(report.segments_scanned, "segment"),
            count(report.atoms, "atom"),
        )?;
        say!("  the old catalog is kept as catalog.old.tadb; delete it when you are satisfied")?;
    }
    for (first, last) in &report.commits_missing {
        say!("{BAD}missing{BAD:#}: the records of commits {first} to {last}; what only they changed is lost")?;
    }
    for finding in &report.findings {
        say!("  {}", plain_text(finding))?;
    }
    if !report.identity_rewritten && !report.catalog_rebuilt && report.findings.is_empty() {
        say!("nothing to repair")?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn sql(args: &Sql) -> Result<Outcome> {
    let store = super::open_to_read(&args.store)?;
    let QueryResult { columns, rows } = store.query(&args.query, args.row_limit)?;
    if args.json {
        let columns = distinct(columns);
        let mut list = JsonList::new();
        list.print(rows.iter().map(|row| {
            let cells = columns.iter().cloned().zip(row.iter().map(|value| json!(value)));
            Value::Object(cells.collect::<Map<String, Value>>())
        }))?;
        list.finish()?;
        return Ok(Outcome::Done);
    }
    let is_number = |column: usize| {
        rows.iter().all(|row| matches!(row[column], SqlValue::Integer(_) | SqlValue::Real(_) | SqlValue::Null))
    };
    let align = |column| if is_number(column) { Align::Right } else { Align::Left };
    let mut table = Table::new(columns.iter().enumerate().map(|(i, name)| (name, align(i))));
    table.print(rows.iter().map(|row| row.iter().map(value_text).collect()))?;
    say!("{FAINT}{}{FAINT:#}", count(rows.len() as u64, "row"))?;
    Ok(Outcome::Done)
}

/// Column names that can be keys of one object: a second `key` becomes `key:2`.
fn distinct(columns: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let numbered = (2..).map(|n| format!("{column}:{n}"));
        let name = std::iter::once(column.clone()).chain(numbered).find(|name| !names.contains(name));
        names.extend(name);
    }
    names
}

fn value_text(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => String::new(),
        SqlValue::Integer(n) => n.to_string(),
        SqlValue::Real(x) => x.to_string(),
        SqlValue::Text(text) => text.clone(),
        SqlValue::Blob(bytes) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
