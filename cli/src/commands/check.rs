//! `stat` and `verify`.

use std::time::Instant;

use serde_json::{Map, Value, json};
use tensoratom::{Result, VerifyOptions};

use crate::args::{Stat, Verify};
use crate::output::{Align, BAD, FAINT, GOOD, Outcome, grouped, key_text, plain_text, print_json, print_table, size};
use crate::progress::Follow;

pub(crate) fn stat(args: &Stat) -> Result<Outcome> {
    let store = super::open_to_read(&args.store.store)?;
    let stat = store.stat()?;
    let parts = stat.accounted.parts();
    if args.json {
        let accounted: Map<String, Value> =
            parts.iter().map(|(name, bytes)| ((*name).to_owned(), json!(bytes))).collect();
        print_json(&json!({
            "uuid": store.uuid(),
            "lsn": stat.lsn,
            "atoms": stat.atoms,
            "versions": stat.versions,
            "payloads": stat.payloads,
            "namespaces": stat.namespaces,
            "vector_sets": stat.vector_sets,
            "vector_parts": stat.vector_parts,
            "segments": stat.segments,
            "raw_bytes": stat.raw_bytes,
            "stored_bytes": stat.stored_bytes,
            "disk_bytes": stat.disk_bytes,
            "accounted": accounted,
        }));
        return Ok(Outcome::Done);
    }
    anstream::println!(
        "{} atoms ({} versions) of {} payloads in {} segments, commit {}",
        grouped(stat.atoms),
        grouped(stat.versions),
        grouped(stat.payloads),
        grouped(stat.segments),
        stat.lsn,
    );
    if stat.vector_sets > 0 {
        anstream::println!("{} vector sets of {} parts", grouped(stat.vector_sets), grouped(stat.vector_parts));
    }
    anstream::println!(
        "{} as users see them, {} stored once each, {} on disk:",
        size(stat.raw_bytes),
        size(stat.stored_bytes),
        size(stat.disk_bytes),
    );
    let share = |bytes: u64| 100.0 * bytes as f64 / stat.disk_bytes.max(1) as f64;
    let row =
        |name: &str, bytes: u64| vec![name.to_owned(), grouped(bytes), size(bytes), format!("{:.1} %", share(bytes))];
    let mut rows: Vec<Vec<String>> = parts.iter().map(|(name, bytes)| row(name, *bytes)).collect();
    rows.push(row("= disk", stat.accounted.total()));
    let headings = [("PART", Align::Left), ("BYTES", Align::Right), ("", Align::Right), ("SHARE", Align::Right)];
    print_table(&headings, &rows);
    Ok(Outcome::Done)
}

pub(crate) fn verify(args: &Verify) -> Result<Outcome> {
    let store = super::open_to_read(&args.store.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let options = match &args.prefix {
        Some(prefix) => VerifyOptions::new().prefix_in(&namespace, prefix),
        None if args.namespace.namespace.is_empty() => VerifyOptions::new(),
        None => VerifyOptions::new().prefix_in(&namespace, ""),
    };
    let started = Instant::now();
    let report = Follow::new("verify").run(|control| store.verify(&options, control))?;
    let seconds = started.elapsed().as_secs_f64();
    let outcome = if report.is_sound() { Outcome::Done } else { Outcome::DamageFound };
    if args.json {
        let damaged: Vec<Value> = report
            .damaged
            .iter()
            .map(|damage| {
                json!({
                    "key": super::atoms::damage_key(damage),
                    "segment": damage.segment,
                    "offset": damage.offset,
                    "what": damage.what,
                    "namespace": damage.namespace,
                    "lsn": damage.lsn,
                    "current": damage.is_current,
                })
            })
            .collect();
        print_json(&json!({
            "atoms_checked": report.atoms_checked,
            "payloads_checked": report.payloads_checked,
            "chunks_checked": report.chunks_checked,
            "bytes_checked": report.bytes_checked,
            "seconds": seconds,
            "damaged": damaged,
        }));
        return Ok(outcome);
    }
    anstream::println!(
        "checked {} atoms, {} payloads, {} chunks, {} in {seconds:.2} s ({:.2} GB/s)",
        grouped(report.atoms_checked),
        grouped(report.payloads_checked),
        grouped(report.chunks_checked),
        size(report.bytes_checked),
        report.bytes_checked as f64 / seconds / 1e9,
    );
    if report.is_sound() {
        anstream::println!("{GOOD}sound{GOOD:#}: every checksum and digest matches");
        return Ok(outcome);
    }
    anstream::println!("{BAD}damage{BAD:#}: {} finds", grouped(report.damaged.len() as u64));
    for damage in &report.damaged {
        let who = match &damage.key {
            Some(key) if damage.is_current => key_text(key),
            Some(key) => format!("{} (older version, commit {})", key_text(key), damage.lsn.unwrap_or(0)),
            None => "(no atom)".to_owned(),
        };
        let place = match (damage.segment, damage.offset) {
            (Some(segment), Some(offset)) => format!("segment {segment} at byte {}", grouped(offset)),
            (Some(segment), None) => format!("segment {segment}"),
            _ => "catalog".to_owned(),
        };
        anstream::println!("  {BAD}{who}{BAD:#} {FAINT}{place}{FAINT:#} {}", plain_text(&damage.what));
    }
    Ok(outcome)
}
