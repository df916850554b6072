//! What happened since a commit, as a listing.

use std::ffi::c_char;

use engine::{Change, Store};
use parking_lot::Mutex;
use serde_json::json;

use crate::memory::{One, Out, apart, optional_text, span};
use crate::wall::{Failure, ta_error, wall};
use crate::{handle, report};

/// A listing that is under way, with the change whose key did not fit yet.
pub struct Changes(Mutex<(engine::Changes, Option<Change>)>);

/// Lists the changes of a namespace (NULL for the default one) by commits after `since`, up to the newest one now, by commit
/// and then by key. It shows what history still holds. Take them with ta_changes_next.
#[unsafe(no_mangle)]
pub extern "C" fn ta_changes(
    store: u64,
    ns: *const c_char,
    ns_length: u64,
    since: u64,
    list: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(list)?;
        let namespace = optional_text(ns, ns_length)?.unwrap_or_default();
        let changes = handle::get::<Store>(store)?.changes(namespace, since)?;
        out.set(handle::add(handle::tag(store), Changes(Mutex::new((changes, None))))?)
    })
}

/// The next change: its commit, whether the atom was put (1) or deleted (0), its key as in ta_list_next. TA_NOT_FOUND behind
/// the last one. A change stays the next one while only the size of its key is asked, or it does not fit.
#[unsafe(no_mangle)]
pub extern "C" fn ta_changes_next(
    list: u64,
    lsn: *mut u64,
    is_put: *mut u32,
    key: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        apart(&[span(lsn, 1), span(is_put, 1), span(key.cast::<u8>(), capacity), span(length, 1)], &[])?;
        let (to_lsn, to_is_put, to_key) = (One::at(lsn)?, One::at(is_put)?, Out::text(key, capacity, length)?);
        let list = handle::get::<Changes>(list)?;
        let mut list = list.0.lock();
        let next = match list.1.take() {
            Some(change) => Some(Ok(change)),
            None => list.0.next(),
        };
        let change = next.ok_or_else(|| Failure::of(engine::ErrorKind::NotFound, "there are no more changes"))??;
        let filled = report::fill(to_key, &json!(report::key(&change.key)));
        let (lsn, is_put) = (change.lsn, u32::from(change.is_put));
        if filled.is_err() || key.is_null() {
            list.1 = Some(change);
        }
        filled?;
        to_lsn.set(lsn)?;
        to_is_put.set(is_put)
    })
}
