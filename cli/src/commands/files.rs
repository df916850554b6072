//! `import` and `export`.

use std::time::Instant;

use serde_json::json;
use tensoratom::{ErrorKind, ExportOptions, ImportOptions, Result};

use crate::args::{Export, Import};
use crate::output::{GOOD, Outcome, count, print_json, say, size};
use crate::progress::Follow;

pub(crate) fn import(args: &Import) -> Result<Outcome> {
    let store = super::open_or_create(&args.store, args.create)?;
    let namespace = super::namespace_to_write(&store, &args.namespace)?;
    let options = ImportOptions::new().prefix(&args.prefix).namespace(&namespace);
    let started = Instant::now();
    let report = Follow::new("import").run(|control| store.import_files(&args.files, &options, control))?;
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        print_json(&json!({
            "atoms": report.atoms, "file_bytes": report.file_bytes, "payload_bytes": report.payload_bytes,
            "new_bytes": report.new_bytes, "lsn": report.lsn, "seconds": seconds,
        }))?;
        return Ok(Outcome::Done);
    }
    say!(
        "{GOOD}imported{GOOD:#} {}, {} in {seconds:.2} s ({:.2} GB/s), commit {}",
        count(report.atoms, "atom"),
        size(report.file_bytes),
        report.file_bytes as f64 / seconds / 1e9,
        report.lsn,
    )?;
    say!(
        "  new in the store: {}; held already: {}",
        size(report.new_bytes.min(report.payload_bytes)),
        size(report.payload_bytes.saturating_sub(report.new_bytes)),
    )?;
    Ok(Outcome::Done)
}

pub(crate) fn export(args: &Export) -> Result<Outcome> {
    let store = super::open_to_read(&args.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let mut options = ExportOptions::new().prefix(&args.prefix);
    if let Some(name) = &args.file_name {
        options = options.file_name(name);
    }
    let started = Instant::now();
    let snapshot = store.snapshot()?.in_namespace(&namespace);
    let report = Follow::new("export").run(|control| snapshot.export_file(&args.output, &options, control));
    let report = report.map_err(|e| match e.kind() {
        ErrorKind::InvalidArgument => e.with_advice("choose one with --file-name"),
        _ => e,
    })?;
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        print_json(&json!({
            "atoms": report.atoms, "file_bytes": report.file_bytes, "header_kept": report.header_kept,
            "seconds": seconds,
        }))?;
        return Ok(Outcome::Done);
    }
    let header = if report.header_kept { "header as imported" } else { "header made anew" };
    say!(
        "{GOOD}exported{GOOD:#} {}, {} in {seconds:.2} s ({:.2} GB/s), {header}",
        count(report.atoms, "tensor"),
        size(report.file_bytes),
        report.file_bytes as f64 / seconds / 1e9,
    )?;
    Ok(Outcome::Done)
}
