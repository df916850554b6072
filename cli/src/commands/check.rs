//! `stat` and `verify`.

use std::time::Instant;

use serde_json::{Map, Value, json};
use tensoratom::{Codec, ColdStat, Damage, Error, ErrorKind, Result, TierStat, VerifyOptions, VerifyReport};

use crate::args::{Stat, Verify};
use crate::output::{
    Align, BAD, FAINT, GOOD, Outcome, Table, count, grouped, is_reader_gone, plain_text, print_error, print_json, say,
    size,
};
use crate::progress::Follow;

pub(crate) fn stat(args: &Stat) -> Result<Outcome> {
    let store = super::open_to_read(&args.store)?;
    let stat = store.stat()?;
    let parts = stat.accounted.parts();
    if args.json {
        let mut value = Map::from_iter([("uuid".to_owned(), json!(store.uuid()))]);
        if let Value::Object(members) = json!(stat) {
            value.extend(members);
        }
        print_json(&value.into())?;
        return Ok(Outcome::Done);
    }
    say!(
        "{} ({}) of {} in {}, commit {}",
        count(stat.atoms, "atom"),
        count(stat.versions, "version"),
        count(stat.payloads, "payload"),
        count(stat.segments, "segment"),
        stat.lsn,
    )?;
    if stat.vector_sets > 0 {
        say!("{} of {}", count(stat.vector_sets, "vector set"), count(stat.vector_parts, "part"))?;
    }
    say!(
        "{} as users see them, {} stored once each, {} on disk",
        size(stat.raw_bytes),
        size(stat.stored_bytes),
        size(stat.disk_bytes),
    )?;
    print_tiers(&stat)?;
    print_codecs(&stat)?;
    say!("on disk:")?;
    let share = |bytes: u64| 100.0 * bytes as f64 / stat.disk_bytes.max(1) as f64;
    let row =
        |name: &str, bytes: u64| vec![name.to_owned(), grouped(bytes), size(bytes), format!("{:.1} %", share(bytes))];
    let mut table =
        Table::new([("PART", Align::Left), ("BYTES", Align::Right), ("", Align::Right), ("SHARE", Align::Right)]);
    let sum = ("= disk", stat.accounted.total());
    table.print(parts.iter().chain([&sum]).map(|(name, bytes)| row(name, *bytes)))?;
    for holder in &stat.holders {
        let program = plain_text(holder.program.as_deref().unwrap_or("ended"));
        say!("held by process {} ({program}): {}", holder.process, size(holder.bytes))?;
    }
    Ok(Outcome::Done)
}

/// Payloads by codec. How fast they are decoded is known to the processes that read them, and seldom to this one.
fn print_codecs(stat: &tensoratom::Stat) -> Result<()> {
    let coded = stat.codecs.iter().filter(|stat| stat.codec != Codec::Raw && stat.stored.payloads > 0);
    let rows: Vec<Vec<String>> = coded
        .map(|stat| {
            let stored = stat.stored;
            let speed = stat.decode_bytes_per_s().map_or("-".to_owned(), |speed| format!("{}/s", size(speed as u64)));
            let ratio = format!("{:.2}", stored.ratio());
            let name = stat.codec.name().to_owned();
            vec![name, grouped(stored.payloads), size(stored.raw_bytes), size(stored.stored_bytes), ratio, speed]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let headings =
        [("CODEC", Align::Left), ("PAYLOADS", Align::Right), ("RAW", Align::Right), ("STORED", Align::Right)];
    let mut table = Table::new(headings.into_iter().chain([("RATIO", Align::Right), ("DECODED", Align::Right)]));
    table.print(rows)
}

/// Payloads by tier, and how much of what is pinned is in memory.
fn print_tiers(stat: &tensoratom::Stat) -> Result<()> {
    let row = |name: &str, tier: TierStat| {
        let ratio = format!("{:.2}", tier.ratio());
        vec![name.to_owned(), grouped(tier.payloads), size(tier.raw_bytes), size(tier.stored_bytes), ratio]
    };
    let headings = [("TIER", Align::Left), ("PAYLOADS", Align::Right), ("RAW", Align::Right), ("STORED", Align::Right)];
    let mut table = Table::new(headings.into_iter().chain([("RATIO", Align::Right)]));
    let [warm, cold] = stat.tiers;
    let deltas = Some(stat.deltas).filter(|deltas| deltas.payloads > 0).map(|deltas| row("of these deltas", deltas));
    table.print([row("warm", warm), row("cold", cold)].into_iter().chain(deltas))?;
    if stat.hot.payloads > 0 {
        let (pinned, resident) = (stat.hot.raw_bytes, stat.hot_resident_bytes);
        let share = 100.0 * resident as f64 / pinned.max(1) as f64;
        say!(
            "of the warm ones {} of {} hot (pinned), {share:.0} % of that in memory",
            count(stat.hot.payloads, "payload"),
            size(pinned),
        )?;
    }
    match &stat.cold_directory {
        Some(ColdStat { path, problem: Some(problem), .. }) => {
            say!("cold directory {}: {BAD}away{BAD:#}: {}", plain_text(path), plain_text(problem))?;
        }
        Some(cold) => say!("cold directory {}: {} on disk", plain_text(&cold.path), size(cold.disk_bytes))?,
        None => {}
    }
    Ok(())
}

pub(crate) fn verify(args: &Verify) -> Result<Outcome> {
    let store = match super::open_to_read(&args.store) {
        Err(e) if e.kind() == ErrorKind::CatalogCorrupt => return report_damaged_catalog(&e, args.json),
        other => other?,
    };
    let namespace = super::namespace(&store, &args.namespace)?;
    let options = match &args.prefix {
        Some(prefix) => VerifyOptions::new().prefix_in(&namespace, prefix),
        None if args.namespace.namespace.is_empty() => VerifyOptions::new(),
        None => VerifyOptions::new().prefix_in(&namespace, ""),
    };
    let started = Instant::now();
    let report = Follow::new("verify").run(|control| store.verify(&options, control))?;
    let seconds = started.elapsed().as_secs_f64();
    let printed = if args.json { print_report_json(&report, seconds) } else { print_report(&report, seconds) };
    match printed {
        // Damage stays damage when only the first lines of the report were wanted.
        Err(e) if !is_reader_gone(&e) => Err(e),
        _ if !report.is_sound() => Ok(Outcome::DamageFound),
        _ if !report.is_complete() => Ok(Outcome::Incomplete),
        _ => Ok(Outcome::Done),
    }
}

/// A catalog too damaged to open is damage found, like any other.
fn report_damaged_catalog(error: &Error, as_json: bool) -> Result<Outcome> {
    if as_json {
        let find = json!({ "key": null, "segment": null, "offset": null, "what": error.to_string() });
        print_json(&json!({ "atoms_checked": 0, "chunks_checked": 0, "damaged": [find] }))?;
    } else {
        print_error(error);
    }
    Ok(Outcome::DamageFound)
}

fn print_report_json(report: &VerifyReport, seconds: f64) -> Result<()> {
    let mut value = json!(report);
    if let Some(members) = value.as_object_mut() {
        members.insert("seconds".to_owned(), json!(seconds));
    }
    print_json(&value)
}

fn print_report(report: &VerifyReport, seconds: f64) -> Result<()> {
    say!(
        "checked {}, {}, {}, {} in {seconds:.2} s ({:.2} GB/s)",
        count(report.atoms_checked, "atom"),
        count(report.payloads_checked, "payload"),
        count(report.chunks_checked, "chunk"),
        size(report.bytes_checked),
        report.bytes_checked as f64 / seconds / 1e9,
    )?;
    if let Some(why) = &report.unavailable {
        let unread = count(report.payloads_unavailable, "payload");
        say!("{BAD}not all{BAD:#}: {unread} could not be read: {}", plain_text(why))?;
    }
    if report.is_sound() && report.is_complete() {
        return say!("{GOOD}sound{GOOD:#}: every checksum and digest matches");
    }
    if report.is_sound() {
        return say!("what could be read is sound");
    }
    say!("{BAD}damage{BAD:#}: {}", count(report.damaged.len() as u64, "find"))?;
    report.damaged.iter().try_for_each(print_damage)
}

fn print_damage(damage: &Damage) -> Result<()> {
    let who = match &damage.key {
        Some(key) if damage.is_current => key.to_string(),
        Some(key) => format!("{key} (older version, commit {})", damage.lsn.unwrap_or(0)),
        None => "(no atom)".to_owned(),
    };
    let whose = if damage.namespace.is_empty() { String::new() } else { format!(" in namespace {}", damage.namespace) };
    let place = match (damage.segment, damage.offset) {
        (Some(segment), Some(offset)) => format!("segment {segment} at byte {}", grouped(offset)),
        (Some(segment), None) => format!("segment {segment}"),
        _ => "catalog".to_owned(),
    };
    let (who, whose, what) = (plain_text(&who), plain_text(&whose), plain_text(&damage.what));
    say!("  {BAD}{who}{BAD:#}{whose} {FAINT}{place}{FAINT:#} {what}")
}
