//! Deleting what was seen, and nothing newer.

use engine::Expect;

use crate::handle;
use crate::memory::{One, required};
use crate::options::{address, ta_key};
use crate::txn::Txn;
use crate::wall::{ta_error, wall};

/// As ta_delete, of the version that the commit `lsn` made: where there is another one by then, or none, ta_commit is
/// TA_CONFLICT. So whoever decided by a listing deletes what was listed.
#[unsafe(no_mangle)]
pub extern "C" fn ta_delete_version(
    txn: u64,
    key: *const ta_key,
    lsn: u64,
    existed: *mut u32,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = if existed.is_null() { None } else { Some(One::at(existed)?) };
        let key = required(key, "the key")?;
        let delete =
            |store: &_, txn: &mut engine::WriteTxn| Ok(txn.delete_with(address(store, &key)?, Expect::Version(lsn))?);
        let was = handle::get::<Txn>(txn)?.with(delete)?;
        out.map_or(Ok(()), |out| out.set(u32::from(was)))
    })
}
