//! What happened since a commit, as a listing.

use std::ffi::c_char;

use engine::{Change, Store};

use crate::handle;
use crate::listing::Listing;
use crate::memory::{One, Out, apart, optional_text, span};
use crate::wall::{ta_error, wall};

/// A listing of changes that is under way.
pub(crate) type Changes = Listing<engine::Changes, Change>;

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
        out.set(handle::add(handle::tag(store), Changes::new(changes))?)
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
        let read = |change: &Change| (change.lsn, u32::from(change.is_put));
        let end = "there are no more changes";
        let (lsn, is_put) = list.next((to_key, key.is_null()), end, |change| &change.key, read)?;
        to_lsn.set(lsn)?;
        to_is_put.set(is_put)
    })
}
