//! What is done to all atoms below a prefix, in any namespace: list, delete, move between tiers.

use std::ffi::c_char;

use engine::{MoveOptions, Namespace, Snapshot, Store, Tier};
use serde_json::Value;

use crate::memory::{One, optional_text, text};
use crate::read::ta_list_after;
use crate::txn::Txn;
use crate::wall::{Failure, Outcome, ta_error, wall};
use crate::{cancel, handle, report};

/// Raw on local disk.
pub const TA_WARM: u32 = 2;
/// Coded.
pub const TA_COLD: u32 = 3;

/// What was made from something else is coded against it as the policy of the store says.
pub const TA_DELTAS_BY_POLICY: u32 = 0;
/// It is, where that is clearly smaller.
pub const TA_DELTAS_ON: u32 = 1;
/// It is not.
pub const TA_DELTAS_OFF: u32 = 2;

/// A namespace by its name; none for NULL and for the default one.
pub(crate) fn namespace(store: &Store, ns: *const c_char, ns_length: u64) -> Outcome<Option<Namespace>> {
    match optional_text(ns, ns_length)?.filter(|name| !name.is_empty()) {
        Some(name) => Ok(Some(store.namespace(name)?)),
        None => Ok(None),
    }
}

/// The store as it is now, names meant in a namespace.
pub(crate) fn within(store: &Store, namespace: Option<Namespace>) -> Outcome<Snapshot> {
    Ok(scoped(&store.snapshot()?, namespace))
}

/// A snapshot, names meant in a namespace.
pub(crate) fn scoped(snapshot: &Snapshot, namespace: Option<Namespace>) -> Snapshot {
    namespace.map_or_else(|| snapshot.clone(), |namespace| snapshot.in_namespace(&namespace))
}

/// As ta_list, in a namespace; NULL is the default one.
#[unsafe(no_mangle)]
pub extern "C" fn ta_list_in(
    snapshot: u64,
    ns: *const c_char,
    ns_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    list: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_list_after(snapshot, ns, ns_length, prefix, prefix_length, std::ptr::null(), list, error)
}

/// Deletes every name that starts with a prefix, all atoms of the namespace where it is empty; `deleted` is how many.
#[unsafe(no_mangle)]
pub extern "C" fn ta_delete_prefix(
    txn: u64,
    ns: *const c_char,
    ns_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    deleted: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_delete_prefix_with(txn, ns, ns_length, prefix, prefix_length, 0, deleted, error)
}

/// As ta_delete_prefix, ended with TA_CANCELLED between two keys once the cancel handle is set or its deadline has passed;
/// the transaction is as it was then.
#[unsafe(no_mangle)]
pub extern "C" fn ta_delete_prefix_with(
    txn: u64,
    ns: *const c_char,
    ns_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    cancel: u64,
    deleted: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(deleted)?;
        let (prefix, flag) = (text(prefix, prefix_length)?, cancel::flag(cancel)?);
        let count = handle::get::<Txn>(txn)?.with(|store, txn| {
            let space = namespace(store, ns, ns_length)?;
            Ok(txn.delete_prefix_within(space.as_ref(), prefix, &cancel::control(&flag))?)
        })?;
        out.set(count)
    })
}

/// Moves the payloads of all atoms below a prefix to TA_COLD (coded) or TA_WARM (raw), in steps, each durable. What it
/// did is a JSON object. Too small a buffer is found out only when all is done; 512 bytes are enough.
#[unsafe(no_mangle)]
pub extern "C" fn ta_move_to_tier(
    store: u64,
    ns: *const c_char,
    ns_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    tier: u32,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_move_to_tier_with(
        store,
        ns,
        ns_length,
        prefix,
        prefix_length,
        tier,
        std::ptr::null(),
        0,
        TA_DELTAS_BY_POLICY,
        cancel,
        out,
        capacity,
        length,
        error,
    )
}

/// As ta_move_to_tier, and on the way to TA_COLD coded against others where that is clearly smaller: against the atom of the same
/// name below the prefix `base`, where it is not NULL, and as `deltas` says against what it was made from (its parents, its
/// earlier version).
#[unsafe(no_mangle)]
pub extern "C" fn ta_move_to_tier_with(
    store: u64,
    ns: *const c_char,
    ns_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    tier: u32,
    base: *const c_char,
    base_length: u64,
    deltas: u32,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    report::answer(error, (out, capacity, length), || {
        let mut options = match deltas {
            TA_DELTAS_BY_POLICY => MoveOptions::new(),
            TA_DELTAS_ON | TA_DELTAS_OFF => MoveOptions::new().deltas(deltas == TA_DELTAS_ON),
            other => return Err(Failure::argument(format!("deltas of {other} are not known"))),
        };
        if let Some(base) = optional_text(base, base_length)? {
            options = options.base(base);
        }
        let tier = match tier {
            TA_WARM => Tier::Warm,
            TA_COLD => Tier::Cold,
            other => return Err(Failure::argument(format!("{other} is no tier to move to; TA_WARM or TA_COLD is"))),
        };
        let (store, flag) = (handle::get::<Store>(store)?, cancel::flag(cancel)?);
        let space = namespace(&store, ns, ns_length)?;
        let control = cancel::control(&flag);
        let moved = store.move_to_tier_with(space.as_ref(), text(prefix, prefix_length)?, tier, &options, &control)?;
        Ok(Value::from(report::facts(&moved.facts())))
    })
}
