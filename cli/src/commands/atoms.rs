//! `ls`, `get`, `put`, `rm`.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};
use tensoratom::{DType, Encoding, Error, Expect, FileFormat, ListOptions, Payload, PutOptions, Result};

use crate::args::{Get, Ls, Put, Rm};
use crate::output::{
    Align, FAINT, GOOD, Outcome, atom_json, grouped, key_json, key_text, plain_text, print_json, print_table, say,
    size, time_text, values_text,
};

/// Values shown of a row, and rows shown of an atom.
const PREVIEW_VALUES: usize = 6;
const PREVIEW_ROWS: u64 = 4;
/// Bytes written to a file at a time.
const BLOCK_BYTES: u64 = 8 << 20;

pub(crate) fn ls(args: &Ls) -> Result<Outcome> {
    let store = super::open_to_read(&args.store.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let mut options = ListOptions::new().prefix(&args.prefix);
    if let Some(limit) = args.limit {
        options = options.limit(limit);
    }
    if let Some(after) = &args.after {
        options = options.after(super::key(after, args.int)?.to_key());
    }
    let atoms = namespace.list(&options)?;
    if args.json {
        print_json(&Value::Array(atoms.iter().map(atom_json).collect()));
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = atoms
        .iter()
        .map(|info| {
            let digest = info.digest.to_string();
            vec![
                key_text(&info.key),
                info.dtype.to_string(),
                info.shape_text(),
                grouped(info.bytes),
                digest[..12].to_owned(),
                info.tier.map_or("-", tensoratom::Tier::name).to_owned(),
                info.lsn.to_string(),
            ]
        })
        .collect();
    let headings = [
        ("KEY", Align::Left),
        ("DTYPE", Align::Left),
        ("SHAPE", Align::Left),
        ("BYTES", Align::Right),
        ("DIGEST", Align::Left),
        ("TIER", Align::Left),
        ("LSN", Align::Right),
    ];
    print_table(&headings, &rows);
    let bytes: u64 = atoms.iter().map(|info| info.bytes).sum();
    say!("{FAINT}{} atoms, {}{FAINT:#}", grouped(atoms.len() as u64), size(bytes));
    Ok(Outcome::Done)
}

pub(crate) fn get(args: &Get) -> Result<Outcome> {
    let store = super::open_to_read(&args.store.store)?;
    let namespace = super::namespace(&store, &args.key.namespace)?;
    let key = super::key(&args.key.key, args.key.int)?;
    let payload = namespace.get(key)?;
    if let Some(path) = &args.npy {
        store.snapshot()?.export_npy(namespace.key(key), path)?;
        say!("{GOOD}wrote{GOOD:#} {}", path.display());
        return Ok(Outcome::Done);
    }
    if let Some(path) = &args.output {
        return write_raw(&payload, args.rows.clone(), path);
    }
    if args.json {
        let info = payload.info();
        let mut value = atom_json(info);
        let metadata = info.metadata.as_deref().map(|text| serde_json::from_str(text).unwrap_or(Value::Null));
        value["metadata"] = metadata.unwrap_or(Value::Null);
        value["created_us"] = json!(info.created_us);
        print_json(&value);
        return Ok(Outcome::Done);
    }
    show(&payload, args.rows.clone())?;
    Ok(Outcome::Done)
}

/// Writes payload bytes to a file or to standard output, verified block by block.
fn write_raw(payload: &Payload, rows: Option<Range<u64>>, path: &Path) -> Result<Outcome> {
    let range = match rows {
        Some(rows) => payload.row_range(rows)?,
        None => 0..payload.len(),
    };
    let mut target: Box<dyn Write> = if path == Path::new("-") {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(std::fs::File::create(path).map_err(|e| Error::from_io("creating the file", e))?)
    };
    let mut at = range.start;
    let mut buffer = vec![0; BLOCK_BYTES as usize];
    while at < range.end {
        let step = (range.end - at).min(BLOCK_BYTES);
        let block = &mut buffer[..step as usize];
        payload.read_into(at, block)?;
        target.write_all(block).map_err(|e| Error::from_io("writing", e))?;
        at += step;
    }
    target.flush().map_err(|e| Error::from_io("writing", e))?;
    Ok(Outcome::Done)
}

fn show(payload: &Payload, rows: Option<Range<u64>>) -> Result<()> {
    let info = payload.info();
    let mut lines = vec![
        ("key", key_text(&info.key)),
        ("dtype", info.dtype.to_string()),
        ("shape", info.shape_text()),
        ("bytes", format!("{} ({})", grouped(info.bytes), size(info.bytes))),
        ("digest", info.digest.to_string()),
        ("tier", info.tier.map_or("-", tensoratom::Tier::name).to_owned()),
        ("version", format!("commit {}, {}", info.lsn, time_text(info.created_us))),
    ];
    if let Some(metadata) = &info.metadata {
        lines.push(("metadata", plain_text(metadata)));
    }
    for (name, value) in lines {
        say!("{FAINT}{name:>9}{FAINT:#}  {value}");
    }
    let more = |shown: usize, of: u64| if (shown as u64) < of { ", ..." } else { "" };
    if info.shape.len() < 2 && rows.is_none() {
        let bytes = payload.range(0..payload.len().min(64))?;
        let values = values_text(info.dtype, &bytes, PREVIEW_VALUES);
        let count = info.shape.first().copied().unwrap_or(1);
        say!("{FAINT}   values{FAINT:#}  [{}{}]", values.join(", "), more(values.len(), count));
        return Ok(());
    }
    let count = info.shape.first().copied().unwrap_or(0);
    let rows = rows.unwrap_or(0..count.min(PREVIEW_ROWS));
    for row in rows {
        let bytes = payload.rows(row..row + 1)?;
        let values = values_text(info.dtype, &bytes, PREVIEW_VALUES);
        let width = info.shape.iter().skip(1).fold(1_u64, |product, &dim| product.saturating_mul(dim));
        let label = format!("row {row}");
        say!("{FAINT}{label:>9}{FAINT:#}  [{}{}]", values.join(", "), more(values.len(), width));
    }
    Ok(())
}

pub(crate) fn put(args: &Put) -> Result<Outcome> {
    let store = super::open_to_write(&args.store.store)?;
    let namespace = super::namespace_to_write(&store, &args.key.namespace)?;
    let key = super::key(&args.key.key, args.key.int)?;
    let mut options = PutOptions::new();
    if let Some(metadata) = &args.metadata {
        options = options.metadata(metadata);
    }
    if let Some(lsn) = args.if_version {
        options = options.expect(Expect::Version(lsn));
    }
    if args.if_absent {
        options = options.expect(Expect::Absent);
    }
    let mut txn = store.begin()?;
    let raw = args.dtype.is_some() || args.shape.is_some();
    if !raw && FileFormat::of_path(&args.file) == Some(FileFormat::Npy) {
        txn.put_npy_file(namespace.key(key), &args.file, &options)?;
    } else {
        let dtype = args.dtype.unwrap_or(DType::U8);
        let shape = match &args.shape {
            Some(shape) => shape.clone(),
            None => vec![whole_length(&args.file, dtype)?],
        };
        txn.put_raw_file(namespace.key(key), &args.file, dtype, &shape, &Encoding::Plain, &options)?;
    }
    let lsn = txn.commit()?;
    say!("{GOOD}stored{GOOD:#} '{}', commit {lsn}", plain_text(&args.key.key));
    Ok(Outcome::Done)
}

/// Elements in a file of raw bytes, when no shape was given.
fn whole_length(path: &Path, dtype: DType) -> Result<u64> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::from_io("looking at the file", e).with_path(path))?;
    Ok(metadata.len().saturating_mul(8) / u64::from(dtype.bits()).max(1))
}

pub(crate) fn rm(args: &Rm) -> Result<Outcome> {
    let store = super::open_to_write(&args.store.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let mut txn = store.begin()?;
    let deleted = match &args.prefix {
        Some(prefix) => txn.delete_prefix(Some(&namespace), prefix)?,
        None => {
            let mut deleted = 0;
            for text in &args.keys {
                let key = super::key(text, args.int)?;
                // What is not there cannot be deleted: say so, and delete nothing.
                store.info(namespace.key(key))?;
                deleted += u64::from(txn.delete(namespace.key(key))?);
            }
            deleted
        }
    };
    if deleted > 0 {
        txn.commit()?;
    }
    say!("{GOOD}deleted{GOOD:#} {} atoms", grouped(deleted));
    Ok(Outcome::Done)
}

/// A damaged thing's key in JSON.
pub(crate) fn damage_key(damage: &tensoratom::Damage) -> Value {
    damage.key.as_ref().map_or(Value::Null, key_json)
}
