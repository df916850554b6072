//! `tier`: moves by hand and by policy, pins, the policy itself.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::json;
use tensoratom::{Error, MoveOptions, MoveReport, Result, Store, TierPin, TierPlan, TierPolicy};

use super::key;
use crate::args::{Tier, TierName};
use crate::output::{
    Align, BAD, FAINT, GOOD, Outcome, Table, count, facts_json, plain_text, print_json, print_raw, say, size,
};
use crate::progress::Follow;

/// Longest policy that is read.
const POLICY_BYTES_MAX: u64 = 16 << 20;

pub(crate) fn tier(args: &Tier) -> Result<Outcome> {
    let action = &args.action;
    if action.plan {
        return print_plan(&super::open_to_read(&args.store)?.plan()?, args.json);
    }
    if action.policy.as_deref() == Some(Path::new("show")) {
        let policy = super::open_to_read(&args.store)?.tier_policy()?;
        print_raw(&format!("{}\n", policy.to_json()?))?;
        return Ok(Outcome::Done);
    }
    if let Some(directory) = &action.cold {
        return set_cold(&args.store.store, directory, args.json);
    }
    let store = super::open_to_write(&args.store)?;
    if let Some(path) = &action.policy {
        store.set_tier_policy(&TierPolicy::from_json(&read_text(path)?)?)?;
        return print_changed(true, "set", args.json);
    }
    let pin = |name: &String| -> Result<TierPin> {
        let namespace = &args.namespace.namespace;
        let is_key = args.exact || args.int;
        Ok(if is_key { TierPin::key(namespace, key(name, args.int)?) } else { TierPin::prefix(namespace, name) })
    };
    match (&action.pin, &action.unpin, action.to) {
        (Some(name), ..) => print_changed(store.pin(&pin(name)?)?, "pinned", args.json),
        (_, Some(name), _) => print_changed(store.unpin(&pin(name)?)?, "unpinned", args.json),
        (.., Some(to)) => move_to(&store, args, to),
        _ => maintain(&store, args.json),
    }
}

fn set_cold(store: &Path, directory: &Path, as_json: bool) -> Result<Outcome> {
    let directory = super::from_here(directory)?;
    let report = Follow::new("tier").run(|control| tensoratom::set_cold_directory(store, &directory, control))?;
    if as_json {
        print_json(&json!(report))?;
        return Ok(Outcome::Done);
    }
    say!(
        "{GOOD}cold directory{GOOD:#} {} {FAINT}({} of {} copied){FAINT:#}",
        plain_text(&directory.display().to_string()),
        count(report.segments_copied, "segment"),
        size(report.bytes_copied),
    )?;
    if let Some(left) = &report.left_behind {
        say!("{BAD}left behind{BAD:#}: {} could not be emptied; run this again when it is there", plain_text(left))?;
    }
    Ok(Outcome::Done)
}

fn move_to(store: &Store, args: &Tier, to: TierName) -> Result<Outcome> {
    let namespace = super::namespace(store, &args.namespace)?;
    let tier = match to {
        TierName::Warm => tensoratom::Tier::Warm,
        TierName::Cold => tensoratom::Tier::Cold,
    };
    let mut options = MoveOptions::new();
    if let Some(base) = &args.base {
        options = options.base(base);
    }
    if args.no_deltas {
        options = options.deltas(false);
    }
    let report = Follow::new("tier")
        .run(|control| store.move_to_tier_with(Some(&namespace), &args.prefix, tier, &options, control))?;
    if args.json {
        print_json(&facts_json(&report.facts()).into())?;
        return Ok(Outcome::Done);
    }
    let there = report.payloads_there;
    let deltas = if report.deltas > 0 { format!("{} as deltas, ", report.deltas) } else { String::new() };
    print_moved(&report, &format!(" to {}", tier.name()), &format!("({deltas}{there} there already)"))
}

fn maintain(store: &Store, as_json: bool) -> Result<Outcome> {
    let report = Follow::new("tier").run(|control| store.maintain(control))?;
    let applied = report.applied;
    let outcome = if applied.damaged > 0 { Outcome::DamageFound } else { Outcome::Done };
    if as_json {
        print_json(&facts_json(&report.facts()).into())?;
        return Ok(outcome);
    }
    print_moved(&applied.moved, "", &format!("({} planned, {} skipped)", report.planned, applied.skipped))?;
    if applied.damaged > 0 {
        say!("{BAD}damage{BAD:#}: {} stay where they are; run `verify`", count(applied.damaged, "payload"))?;
    }
    Ok(outcome)
}

fn print_moved(report: &MoveReport, whereto: &str, note: &str) -> Result<Outcome> {
    let ratio = report.raw_bytes as f64 / report.stored_bytes_after.max(1) as f64;
    say!(
        "{GOOD}moved{GOOD:#} {} of {}{whereto}: {} stored (ratio {ratio:.2}) {FAINT}{note}{FAINT:#}",
        count(report.payloads_moved, "payload"),
        size(report.raw_bytes),
        size(report.stored_bytes_after),
    )?;
    Ok(Outcome::Done)
}

fn print_plan(plan: &TierPlan, as_json: bool) -> Result<Outcome> {
    if as_json {
        print_raw(&format!("{}\n", plan.to_json()?))?;
        return Ok(Outcome::Done);
    }
    if plan.is_empty() {
        say!("{GOOD}nothing to move{GOOD:#}: everything lies where the policy wants it")?;
        return Ok(Outcome::Done);
    }
    let mut table =
        Table::new([("NAME", Align::Left), ("SIZE", Align::Right), ("MOVE", Align::Left), ("WHY", Align::Left)]);
    table.print(plan.moves.iter().map(|planned| {
        let whose = if planned.namespace.is_empty() { String::new() } else { format!("{}: ", planned.namespace) };
        let path = format!("{} to {}", planned.from.name(), planned.to.name());
        let base = planned.base.as_ref().map(|base| format!(", perhaps as a delta of {}", plain_text(base)));
        let why = format!("{}{}", planned.reason, base.unwrap_or_default());
        vec![plain_text(&format!("{whose}{}", planned.name)), size(planned.bytes), path, why]
    }))?;
    for to in [tensoratom::Tier::Cold, tensoratom::Tier::Warm] {
        let (payloads, bytes) = plan.totals(to);
        if payloads > 0 {
            say!("{} of {} to {}", count(payloads, "payload"), size(bytes), to.name())?;
        }
    }
    Ok(Outcome::Done)
}

fn print_changed(changed: bool, done: &str, as_json: bool) -> Result<Outcome> {
    if as_json {
        print_json(&json!({ "changed": changed }))?;
    } else if changed {
        say!("{GOOD}{done}{GOOD:#}; `tier STORE --plan` shows what that moves")?;
    } else {
        say!("nothing changed")?;
    }
    Ok(Outcome::Done)
}

fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(POLICY_BYTES_MAX).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(POLICY_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|e| Error::from_io("reading the policy", e).with_path(path))?;
    Ok(text)
}
