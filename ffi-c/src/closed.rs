//! What is done with a store that nobody has open: another cold directory, repair.

use std::ffi::c_char;
use std::path::Path;

use engine::{RepairOptions, RepairReport};
use serde_json::json;

use crate::cancel;
use crate::memory::{One, text};
use crate::report::answer;
use crate::wall::{Outcome, ta_error, wall};

/// Gives a store that nobody has open a cold directory, or moves the one it has: copied, synced, read back, switched over, then
/// deleted. A relative path starts in the store. The report is JSON: {segments_copied, bytes_copied, left_behind}, fewer than
/// 1,024 bytes and the path in it; the directory is changed also where it does not fit.
#[unsafe(no_mangle)]
pub extern "C" fn ta_set_cold_directory(
    path: *const c_char,
    path_length: u64,
    directory: *const c_char,
    directory_length: u64,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let (path, directory) = (text(path, path_length)?, text(directory, directory_length)?);
        let flag = cancel::flag(cancel)?;
        Ok(json!(engine::set_cold_directory(path, directory, &cancel::control(&flag))?))
    })
}

/// Repairs a store that nobody has open; with `rebuild_catalog` not 0 its catalog is made anew. `atoms` is how many it has.
#[unsafe(no_mangle)]
pub extern "C" fn ta_repair(
    path: *const c_char,
    path_length: u64,
    rebuild_catalog: u32,
    cancel: u64,
    atoms: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(atoms)?;
        let options = RepairOptions::new().rebuild_catalog(rebuild_catalog != 0);
        out.set(repair((path, path_length), &options, cancel)?.atoms)
    })
}

/// As ta_repair, and with `without_cold` not 0 the catalog is made anew although the cold directory is away: it has to be made
/// once more when that is back. The report is JSON: {identity_rewritten, catalog_rebuilt, segments_scanned, records_found,
/// commits_applied, commits_missing, payloads_adopted, atoms, findings}; `commits_missing` has the first and the last of each
/// gap, `findings` are sentences about what could not be read. Too small a buffer is found out only when all is done;
/// 1,024 bytes are enough where nothing is amiss.
#[unsafe(no_mangle)]
pub extern "C" fn ta_repair_with(
    path: *const c_char,
    path_length: u64,
    rebuild_catalog: u32,
    without_cold: u32,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let options = RepairOptions::new().rebuild_catalog(rebuild_catalog != 0).without_cold(without_cold != 0);
        Ok(json!(repair((path, path_length), &options, cancel)?))
    })
}

fn repair((path, path_length): (*const c_char, u64), options: &RepairOptions, cancel: u64) -> Outcome<RepairReport> {
    let flag = cancel::flag(cancel)?;
    Ok(engine::repair(Path::new(text(path, path_length)?), options, &cancel::control(&flag))?)
}
