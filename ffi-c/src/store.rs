//! Stores: open, facts, namespaces, snapshots.

use std::ffi::c_char;
use std::path::Path;

use engine::{AsOf, Options, Snapshot, Store};
use serde_json::json;

use crate::memory::{One, Out, text};
use crate::options::{Make, options, ta_options};
use crate::report::answer;
use crate::wall::{Outcome, ta_error, wall};
use crate::{handle, report};

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
        out.set(open((path, path_length), options, |options| options)?)
    })
}

/// As ta_store_open, and of what is pinned at most `hot_bytes` are read into memory behind the opening: 0 for nothing,
/// UINT64_MAX for all. ta_store_open reads 1 GiB. What the system needs otherwise it may take back.
#[unsafe(no_mangle)]
pub extern "C" fn ta_store_open_with(
    path: *const c_char,
    path_length: u64,
    options: *const ta_options,
    hot_bytes: u64,
    store: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(store)?;
        out.set(open((path, path_length), options, |options| options.hot_bytes(hot_bytes))?)
    })
}

/// A handle of a store that is opened as a struct of C and `more` say.
fn open(
    (path, path_length): (*const c_char, u64),
    options: *const ta_options,
    more: impl FnOnce(Options) -> Options,
) -> Outcome<u64> {
    let (path, (options, make)) = (Path::new(text(path, path_length)?), self::options(options)?);
    let options = more(options);
    let store = match make {
        Make::Never => Store::open(path, &options),
        Make::IfMissing => Store::open_or_create(path, &options),
        Make::Always => Store::create(path, &options),
    };
    handle::add(handle::new_tag(), store?)
}

/// What a store was made with and is open with, as a JSON object: {uuid, path, created_us, segment_bytes, chunk_bytes,
/// is_read_only}; `path` is null where it is not UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn ta_store_facts(
    store: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let store = handle::get::<Store>(store)?;
        Ok(json!({
            "uuid": store.uuid(), "path": store.path().and_then(Path::to_str), "created_us": store.created_us(),
            "segment_bytes": store.segment_bytes(), "chunk_bytes": store.chunk_bytes(),
            "is_read_only": store.is_read_only(),
        }))
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

/// The newest commit that a snapshot shows.
#[unsafe(no_mangle)]
pub extern "C" fn ta_snapshot_lsn(snapshot: u64, lsn: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(lsn)?;
        out.set(handle::get::<Snapshot>(snapshot)?.lsn())
    })
}
