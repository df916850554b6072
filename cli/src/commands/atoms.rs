//! `ls`, `put`, `rm`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use tensoratom::{AtomInfo, DType, Encoding, Error, Expect, FileFormat, ListOptions, PutOptions, Result, Snapshot};

use crate::args::{Ls, Put, Rm};
use crate::output::{
    Align, FAINT, GOOD, JsonList, Outcome, Table, atom_json, count, grouped, plain_text, print_json, say, size,
};

/// Atoms of a listing that are in memory at a time.
const PAGE_ATOMS: usize = 1_000;

pub(crate) fn ls(args: &Ls) -> Result<Outcome> {
    let store = super::open_to_read(&args.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let snapshot = store.snapshot()?.in_namespace(&namespace);
    if args.json {
        let mut list = JsonList::new();
        each_page(&snapshot, args, |atoms| list.print(atoms.iter().map(atom_json)))?;
        list.finish()?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new([
        ("KEY", Align::Left),
        ("DTYPE", Align::Left),
        ("SHAPE", Align::Left),
        ("BYTES", Align::Right),
        ("DIGEST", Align::Left),
        ("TIER", Align::Left),
        ("LSN", Align::Right),
    ]);
    let (mut listed, mut bytes) = (0, 0_u64);
    each_page(&snapshot, args, |atoms| {
        listed += atoms.len() as u64;
        bytes = atoms.iter().fold(bytes, |sum, info| sum.saturating_add(info.bytes));
        table.print(atoms.iter().map(row))
    })?;
    say!("{FAINT}{}, {}{FAINT:#}", count(listed, "atom"), size(bytes))?;
    Ok(Outcome::Done)
}

/// Calls `take` with page after page of what `ls` was asked for, at least once.
fn each_page(snapshot: &Snapshot, args: &Ls, mut take: impl FnMut(&[AtomInfo]) -> Result<()>) -> Result<()> {
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut after = match &args.after {
        Some(text) => Some(super::key(text, args.int)?.to_key()),
        None => None,
    };
    loop {
        let page = left.min(PAGE_ATOMS);
        let mut options = ListOptions::new().prefix(&args.prefix).limit(page);
        if let Some(key) = after {
            options = options.after(key);
        }
        let atoms = snapshot.list(&options)?;
        take(&atoms)?;
        left -= atoms.len();
        match atoms.last() {
            Some(last) if left > 0 && atoms.len() == page => after = Some(last.key.clone()),
            _ => return Ok(()),
        }
    }
}

fn row(info: &AtomInfo) -> Vec<String> {
    let mut digest = info.digest.to_string();
    digest.truncate(12);
    vec![
        info.key.to_string(),
        info.dtype.to_string(),
        info.shape_text(),
        grouped(info.bytes),
        digest,
        info.tier.map_or("-", tensoratom::Tier::name).to_owned(),
        info.lsn.to_string(),
    ]
}

pub(crate) fn put(args: &Put) -> Result<Outcome> {
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
    let store = super::open_to_write(&args.store)?;
    let namespace = super::namespace_to_write(&store, &args.key.namespace)?;
    let mut txn = store.begin()?;
    let raw = args.dtype.is_some() || args.shape.is_some();
    if !raw && FileFormat::of_path(&args.file) == Some(FileFormat::Npy) {
        txn.put_npy_file(namespace.key(key), &args.file, &options)?;
    } else {
        let dtype = args.dtype.unwrap_or(DType::U8);
        let shape = match &args.shape {
            Some(shape) => shape.0.clone(),
            None => vec![whole_length(&args.file, dtype)?],
        };
        txn.put_raw_file(namespace.key(key), &args.file, dtype, &shape, &Encoding::Plain, &options)?;
    }
    let lsn = txn.commit()?;
    if args.json {
        print_json(&json!({ "lsn": lsn }))?;
    } else {
        say!("{GOOD}stored{GOOD:#} '{}', commit {lsn}", plain_text(&args.key.key))?;
    }
    Ok(Outcome::Done)
}

/// Elements in a file of raw bytes, when no shape was given.
fn whole_length(path: &Path, dtype: DType) -> Result<u64> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::from_io("opening the file", e).with_path(path))?;
    // Rounded down, so that a rest is refused as what it is: a length that does not fit.
    Ok(metadata.len().saturating_mul(8) / u64::from(dtype.bits().max(1)))
}

pub(crate) fn rm(args: &Rm) -> Result<Outcome> {
    let store = super::open_to_write(&args.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let mut txn = store.begin()?;
    let deleted = match &args.prefix {
        Some(prefix) => txn.delete_prefix(Some(&namespace), prefix)?,
        None => {
            let keys: BTreeSet<&String> = args.keys.iter().collect();
            for text in &keys {
                let address = namespace.key(super::key(text, args.int)?);
                // What is not there cannot be deleted: say so, and delete nothing.
                store.info(address).map_err(|e| super::advise_int(e, text, args.int))?;
                txn.delete(address)?;
            }
            keys.len() as u64
        }
    };
    let lsn = if deleted > 0 { Some(txn.commit()?) } else { None };
    if args.json {
        print_json(&json!({ "deleted": deleted, "lsn": lsn }))?;
    } else {
        say!("{GOOD}deleted{GOOD:#} {}", count(deleted, "atom"))?;
    }
    Ok(Outcome::Done)
}
