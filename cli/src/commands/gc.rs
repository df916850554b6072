//! `gc`.

use serde_json::json;
use tensoratom::{GcOptions, GcReport, Result};

use crate::args::Gc;
use crate::output::{FAINT, GOOD, Outcome, count, print_json, say, size};
use crate::progress::Follow;

pub(crate) fn gc(args: &Gc) -> Result<Outcome> {
    let store = super::open_to_write(&args.store)?;
    let options = GcOptions::new().dry_run(args.dry_run).dead_share(args.dead_share);
    let options = args.keep.map_or(options.clone(), |age| options.keep_history(age));
    let report = Follow::new("gc").run(|control| store.gc(&options, control))?;
    if args.json {
        print_json(&json!(report))?;
    } else {
        print(&report, args.dry_run)?;
    }
    Ok(if report.findings.is_empty() { Outcome::Done } else { Outcome::DamageFound })
}

fn print(report: &GcReport, dry_run: bool) -> Result<()> {
    let verb = if dry_run { "would free" } else { "freed" };
    say!(
        "{GOOD}{verb}{GOOD:#} {} in {} {FAINT}({} moved first, {} forgotten){FAINT:#}",
        size(report.bytes_freed),
        count(report.segments_deleted, "segment"),
        size(report.bytes_moved),
        count(report.forgotten, "version"),
    )?;
    if report.segments_held > 0 {
        say!("{} given up and still read by a process; run gc again later", count(report.segments_held, "segment"))?;
    }
    if report.segments_busy > 0 {
        say!("{} left alone while a process appends", count(report.segments_busy, "segment"))?;
    }
    report.findings.iter().try_for_each(|finding| say!("{finding}"))
}
