//! `get`: an atom on the terminal, or in a file of its own.

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};
use tensoratom::{Error, Payload, Result};

use crate::args::Get;
use crate::output::{
    FAINT, GOOD, Outcome, atom_json, grouped, plain_text, print_json, say, size, time_text, values_text,
};
use crate::progress::Follow;

/// Values shown of a row, and rows shown of an atom.
const PREVIEW_VALUES: usize = 6;
const PREVIEW_ROWS: u64 = 4;
/// Bytes written to a file at a time.
const BLOCK_BYTES: u64 = 8 << 20;

pub(crate) fn get(args: &Get) -> Result<Outcome> {
    let store = super::open_to_read(&args.store)?;
    let namespace = super::namespace(&store, &args.key.namespace)?;
    let key = super::key(&args.key.key, args.key.int)?;
    let payload = namespace.get(key).map_err(|e| super::advise_int(e, &args.key.key, args.key.int))?;
    let rows = args.rows.clone();
    if let Some(path) = &args.npy {
        store.snapshot()?.export_npy(namespace.key(key), path)?;
        say!("{GOOD}wrote{GOOD:#} {}", plain_text(&path.display().to_string()))?;
    } else if let Some(path) = &args.output {
        let range = rows.map_or(Ok(0..payload.len()), |rows| payload.row_range(rows))?;
        return write_raw(&payload, range, path);
    } else if args.json {
        print_json(&descriptor_json(&payload))?;
    } else {
        show(&payload, rows)?;
    }
    Ok(Outcome::Done)
}

fn descriptor_json(payload: &Payload) -> Value {
    let info = payload.info();
    let mut value = atom_json(info);
    let metadata = info.metadata.as_deref().map(|text| serde_json::from_str(text).unwrap_or(Value::Null));
    value["metadata"] = metadata.unwrap_or(Value::Null);
    value["created_us"] = json!(info.created_us);
    value
}

/// Writes a range of a payload. A file appears complete or not at all; pipes and devices are written as they are.
fn write_raw(payload: &Payload, range: Range<u64>, path: &Path) -> Result<Outcome> {
    let io = |e| Error::from_io("writing the file", e).with_path(path);
    if path == Path::new("-") {
        return copy(payload, range, &mut std::io::stdout().lock());
    }
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return copy(payload, range, &mut fs::File::create(path).map_err(io)?);
    }
    // Where the name is a link, what it leads to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // what the umask leaves of it
    let mut partial = builder.prefix(".tensoratom-").tempfile_in(directory).map_err(io)?;
    let outcome = copy(payload, range, partial.as_file_mut())?;
    if outcome == Outcome::Done {
        partial.persist(&target).map_err(|e| io(e.error))?;
    }
    Ok(outcome)
}

/// Copies block by block, each verified before it is written.
fn copy(payload: &Payload, range: Range<u64>, target: &mut dyn Write) -> Result<Outcome> {
    let follow = Follow::new("get");
    let io = |e| Error::from_io("writing", e);
    let mut buffer = vec![0; BLOCK_BYTES.min(range.end - range.start) as usize];
    let mut at = range.start;
    while at < range.end {
        if follow.is_interrupted() {
            return Ok(Outcome::Interrupted);
        }
        let step = (range.end - at).min(BLOCK_BYTES);
        let block = &mut buffer[..step as usize];
        payload.read_into(at, block)?;
        target.write_all(block).map_err(io)?;
        at += step;
    }
    target.flush().map_err(io)?;
    Ok(Outcome::Done)
}

fn show(payload: &Payload, rows: Option<Range<u64>>) -> Result<()> {
    let info = payload.info();
    if let Some(rows) = &rows {
        payload.row_range(rows.clone())?; // refused before anything is printed
    }
    let line = |name: &str, value: &str| say!("{FAINT}{name:>9}{FAINT:#}  {}", plain_text(value));
    line("key", &info.key.to_string())?;
    line("dtype", info.dtype.name())?;
    line("shape", &info.shape_text())?;
    line("bytes", &format!("{} ({})", grouped(info.bytes), size(info.bytes)))?;
    line("digest", &info.digest.to_string())?;
    line("tier", info.tier.map_or("-", tensoratom::Tier::name))?;
    line("version", &format!("commit {}, {}", info.lsn, time_text(info.created_us)))?;
    if let Some(metadata) = &info.metadata {
        line("metadata", metadata)?;
    }
    let list = |values: &[String], of: u64| {
        format!("[{}{}]", values.join(", "), if (values.len() as u64) < of { ", ..." } else { "" })
    };
    if info.shape.len() < 2 && rows.is_none() {
        let bytes = payload.range(0..payload.len().min(64))?;
        let values = values_text(info.dtype, &bytes, PREVIEW_VALUES);
        return line("values", &list(&values, info.shape.first().copied().unwrap_or(1)));
    }
    let count = info.shape.first().copied().unwrap_or(0);
    let width = info.shape.iter().skip(1).fold(1_u64, |product, &dim| product.saturating_mul(dim));
    let shown = rows.clone().unwrap_or(0..count.min(PREVIEW_ROWS));
    for row in shown.clone() {
        let values = values_text(info.dtype, &payload.rows(row..row + 1)?, PREVIEW_VALUES);
        line(&format!("row {row}"), &list(&values, width))?;
    }
    if rows.is_none() && shown.end < count {
        line("...", &format!("{} rows in all; --rows A:B shows others", grouped(count)))?;
    }
    Ok(())
}
