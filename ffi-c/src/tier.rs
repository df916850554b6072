//! Tiers and space: the policy, pins, plans and moves, and what is reclaimed, as JSON text in and out.

use engine::{GcOptions, KeyRef, Store, TierPin, TierPlan, TierPolicy};
use serde_json::{Value, json};
use std::ffi::c_char;
use std::time::Duration;

use crate::memory::{document, optional_text, required, text};
use crate::options::{name, ta_key};
use crate::report::{answer, facts};
use crate::wall::{Failure, Outcome, ta_error, wall};
use crate::{cancel, handle};

/// Longest policy in bytes.
const POLICY_BYTES_MAX: u64 = 16 << 20;

/// The policy of the store's tiers as a JSON object: {hot_days, warm_days, min_bytes, warm_bytes_max, deltas, codec, rules, pins}.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_policy(
    store: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || Ok(handle::get::<Store>(store)?.tier_policy()?.to_json()?))
}

/// Replaces the policy (16 MiB of JSON at most), pins included, durably and for all processes. What is left out has its default. Moves nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_set_policy(
    store: u64,
    policy: *const c_char,
    policy_length: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let policy = TierPolicy::from_json(document(policy, policy_length, POLICY_BYTES_MAX)?)?;
        Ok(handle::get::<Store>(store)?.set_tier_policy(&policy)?)
    })
}

/// Pins names of the default namespace that start with a prefix, or with `exact` other than 0 that very name: their payloads
/// stay warm, and are read into memory when the store is opened.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_pin(
    store: u64,
    prefix: *const c_char,
    prefix_length: u64,
    exact: i32,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let pin = pin("", text(prefix, prefix_length)?.into(), exact);
        handle::get::<Store>(store)?.pin(&pin)?;
        Ok(())
    })
}

/// Takes a pin back. Nothing happens where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_unpin(
    store: u64,
    prefix: *const c_char,
    prefix_length: u64,
    exact: i32,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let pin = pin("", text(prefix, prefix_length)?.into(), exact);
        handle::get::<Store>(store)?.unpin(&pin)?;
        Ok(())
    })
}

/// As ta_tier_pin, with a prefix or a key in any namespace. A number is always that very key.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_pin_key(store: u64, key: *const ta_key, exact: i32, error: *mut ta_error) -> i32 {
    wall(error, || {
        let pin = pin_of(key, exact)?;
        handle::get::<Store>(store)?.pin(&pin)?;
        Ok(())
    })
}

/// As ta_tier_unpin, with what ta_tier_pin_key was given.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_unpin_key(store: u64, key: *const ta_key, exact: i32, error: *mut ta_error) -> i32 {
    wall(error, || {
        let pin = pin_of(key, exact)?;
        handle::get::<Store>(store)?.unpin(&pin)?;
        Ok(())
    })
}

/// What the policy would move now, as JSON: {"moves": [{namespace, name, digest, bytes, stored_bytes, from, to, reason, base}]}.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_plan(
    store: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_tier_plan_with(store, 0, out, capacity, length, error)
}

/// As ta_tier_plan, ended with TA_CANCELLED soon after the cancel handle is set or its deadline has passed.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_plan_with(
    store: u64,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let flag = cancel::flag(cancel)?;
        Ok(handle::get::<Store>(store)?.plan_within(&cancel::control(&flag))?.to_json()?)
    })
}

/// Carries a plan out; what no longer makes sense is skipped and counted. The report is a JSON object of numbers with fewer
/// than 1,024 bytes; the moves are made also where it does not fit.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_apply(
    store: u64,
    plan: *const c_char,
    plan_length: u64,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let plan = TierPlan::from_json(document(plan, plan_length, u64::MAX)?)?;
        let flag = cancel::flag(cancel)?;
        let report = handle::get::<Store>(store)?.apply(&plan, &cancel::control(&flag))?;
        Ok(Value::from(facts(&report.facts())))
    })
}

/// What a nightly job calls: notes what was read, plans, applies. The report is as that of ta_tier_apply.
#[unsafe(no_mangle)]
pub extern "C" fn ta_tier_maintain(
    store: u64,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let flag = cancel::flag(cancel)?;
        let report = handle::get::<Store>(store)?.maintain(&cancel::control(&flag))?;
        Ok(Value::from(facts(&report.facts())))
    })
}

/// Reclaims space: garbage, and history older than `keep_seconds`, of which a negative number keeps all. Segments whose share of
/// dead bytes is `dead_share` or more are rewritten, 0.5 is usual. With `dry_run` other than 0 nothing changes. The report
/// is a JSON object of numbers, the list `findings`, of segments that damage keeps, and `unavailable`, which is null or why cold
/// segments stay; too small a buffer is found out only when all is done, 1,024 bytes are enough without findings.
#[unsafe(no_mangle)]
pub extern "C" fn ta_gc(
    store: u64,
    keep_seconds: f64,
    dead_share: f64,
    dry_run: i32,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let flag = cancel::flag(cancel)?;
        let mut options = GcOptions::new().dead_share(dead_share).dry_run(dry_run != 0);
        if keep_seconds.is_nan() || keep_seconds >= 0.0 {
            let age = Duration::try_from_secs_f64(keep_seconds);
            options = options.keep_history(age.map_err(|_| Failure::argument(format!("{keep_seconds} s is no age")))?);
        }
        Ok(json!(handle::get::<Store>(store)?.gc(&options, &cancel::control(&flag))?))
    })
}

fn pin(namespace: &str, key: KeyRef<'_>, exact: i32) -> TierPin {
    match key {
        KeyRef::Name(prefix) if exact == 0 => TierPin::prefix(namespace, prefix),
        key => TierPin::key(namespace, key),
    }
}

fn pin_of(key: *const ta_key, exact: i32) -> Outcome<TierPin> {
    let key = required(key, "the key")?;
    let namespace = optional_text(key.ns, key.ns_length)?.unwrap_or_default();
    Ok(pin(namespace, name(&key)?, exact))
}
