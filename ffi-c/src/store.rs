//! Stores: open, namespaces, snapshots, import and export, repair.

use std::ffi::c_char;
use std::path::Path;

use engine::{AsOf, ExportOptions, ImportOptions, RepairOptions, Snapshot, Store};
use serde_json::json;

use crate::memory::{One, Out, text};
use crate::options::{options, ta_options};
use crate::prefix::{namespace, within};
use crate::report::answer;
use crate::wall::{ta_error, wall};
use crate::{cancel, handle, report};

/// Opens the store in a directory. In one process a directory opens once; later opens share it. Blocks and may sync.
#[unsafe(no_mangle)]
pub extern "C" fn ta_store_open(
    path: *const c_char,
    path_length: u64,
    options: *const ta_options,
    store: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(store)?;
        let (path, (options, create)) = (Path::new(text(path, path_length)?), self::options(options)?);
        let store = if create { Store::open_or_create(path, &options)? } else { Store::open(path, &options)? };
        out.set(handle::add(handle::new_tag(), store)?)
    })
}

/// Makes a namespace, in a commit of its own. Nothing happens where there is one of that name.
#[unsafe(no_mangle)]
pub extern "C" fn ta_namespace_create(store: u64, name: *const c_char, name_length: u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        handle::get::<Store>(store)?.create_namespace(text(name, name_length)?)?;
        Ok(())
    })
}

/// Names of the namespaces, as a JSON array.
#[unsafe(no_mangle)]
pub extern "C" fn ta_namespaces(
    store: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let store = handle::get::<Store>(store)?;
        report::fill(Out::text(out, capacity, length)?, &json!(store.namespaces()?))
    })
}

/// Newest commit.
#[unsafe(no_mangle)]
pub extern "C" fn ta_store_lsn(store: u64, lsn: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(lsn)?;
        out.set(handle::get::<Store>(store)?.lsn()?)
    })
}

/// The store as it is now.
pub const TA_NOW: u32 = 0;
/// The store after a commit.
pub const TA_AS_OF_LSN: u32 = 1;
/// The store after the newest commit at or before a time.
pub const TA_AS_OF_TIME: u32 = 2;

/// Makes a snapshot: TA_NOW, TA_AS_OF_LSN or TA_AS_OF_TIME with `moment`. Close it with ta_close.
#[unsafe(no_mangle)]
pub extern "C" fn ta_snapshot(store: u64, as_of: u32, moment: u64, snapshot: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(snapshot)?;
        let engine = handle::get::<Store>(store)?;
        let made: Snapshot = match as_of {
            TA_NOW => engine.snapshot()?,
            TA_AS_OF_LSN => engine.snapshot_at(AsOf::Lsn(moment))?,
            TA_AS_OF_TIME => engine.snapshot_at(AsOf::Time(moment))?,
            _ => return Err(crate::wall::Failure::argument(format!("as_of {as_of} is not known"))),
        };
        out.set(handle::add(handle::tag(store), made)?)
    })
}

/// Imports a safetensors, npy or raw file in one commit, names prefixed; `lsn` is that commit.
#[unsafe(no_mangle)]
pub extern "C" fn ta_import(
    store: u64,
    path: *const c_char,
    path_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    cancel: u64,
    lsn: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_import_in(store, std::ptr::null(), 0, path, path_length, prefix, prefix_length, cancel, lsn, error)
}

/// As ta_import, into a namespace; NULL is the default one.
#[unsafe(no_mangle)]
pub extern "C" fn ta_import_in(
    store: u64,
    ns: *const c_char,
    ns_length: u64,
    path: *const c_char,
    path_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    cancel: u64,
    lsn: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(lsn)?;
        let mut options = ImportOptions::new().prefix(text(prefix, prefix_length)?);
        let flag = cancel::flag(cancel)?;
        let store = handle::get::<Store>(store)?;
        if let Some(space) = namespace(&store, ns, ns_length)? {
            options = options.namespace(&space);
        }
        out.set(store.import_file(Path::new(text(path, path_length)?), &options, &cancel::control(&flag))?.lsn)
    })
}

/// Writes the atoms below a prefix into a safetensors file, which appears whole or not at all.
#[unsafe(no_mangle)]
pub extern "C" fn ta_export(
    store: u64,
    path: *const c_char,
    path_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    cancel: u64,
    atoms: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_export_in(store, std::ptr::null(), 0, path, path_length, prefix, prefix_length, cancel, atoms, error)
}

/// As ta_export, from a namespace; NULL is the default one.
#[unsafe(no_mangle)]
pub extern "C" fn ta_export_in(
    store: u64,
    ns: *const c_char,
    ns_length: u64,
    path: *const c_char,
    path_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    cancel: u64,
    atoms: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(atoms)?;
        let options = ExportOptions::new().prefix(text(prefix, prefix_length)?);
        let flag = cancel::flag(cancel)?;
        let store = handle::get::<Store>(store)?;
        let moment = within(&store, namespace(&store, ns, ns_length)?)?;
        out.set(moment.export_file(Path::new(text(path, path_length)?), &options, &cancel::control(&flag))?.atoms)
    })
}

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
        let flag = cancel::flag(cancel)?;
        out.set(engine::repair(Path::new(text(path, path_length)?), &options, &cancel::control(&flag))?.atoms)
    })
}
