//! `tier`.

use serde_json::json;
use tensoratom::Result;

use crate::args::{Tier, TierName};
use crate::output::{FAINT, GOOD, Outcome, count, print_json, say, size};
use crate::progress::Follow;

pub(crate) fn tier(args: &Tier) -> Result<Outcome> {
    let store = super::open_to_write(&args.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let tier = match args.to {
        TierName::Warm => tensoratom::Tier::Warm,
        TierName::Cold => tensoratom::Tier::Cold,
    };
    let report =
        Follow::new("tier").run(|control| store.move_to_tier(Some(&namespace), &args.prefix, tier, control))?;
    if args.json {
        print_json(&json!({
            "payloads_moved": report.payloads_moved,
            "payloads_there": report.payloads_there,
            "raw_bytes": report.raw_bytes,
            "stored_bytes_before": report.stored_bytes_before,
            "stored_bytes_after": report.stored_bytes_after,
            "commits": report.commits,
        }))?;
        return Ok(Outcome::Done);
    }
    let ratio = report.raw_bytes as f64 / report.stored_bytes_after.max(1) as f64;
    say!(
        "{GOOD}moved{GOOD:#} {} of {} to {}: {} stored (ratio {ratio:.2}) {FAINT}({} there already){FAINT:#}",
        count(report.payloads_moved, "payload"),
        size(report.raw_bytes),
        tier.name(),
        size(report.stored_bytes_after),
        report.payloads_there,
    )?;
    Ok(Outcome::Done)
}
