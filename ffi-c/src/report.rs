//! What is large and rarely read: reports as JSON text.

use engine::{ErrorKind, Store, VerifyOptions};
use serde_json::{Map, Value, json};
use std::ffi::c_char;
use std::fmt::Display;
use std::io;

use crate::memory::{Out, document, size, text};
use crate::prefix::namespace;
use crate::wall::{Failure, Outcome, ta_error, wall};
use crate::{cancel, handle};

/// Longest statement in bytes, which is what SQLite takes.
const SQL_BYTES_MAX: u64 = 1_000_000;

/// Hands a JSON value out under the size-query convention.
pub(crate) fn fill(out: Out<u8>, value: &Value) -> Outcome {
    out.fill(value.to_string().as_bytes())
}

/// Runs a body that answers with text, mostly JSON, and hands that out under the size-query convention.
pub(crate) fn answer<T: Display>(
    error: *mut ta_error,
    (out, capacity, length): (*mut c_char, u64, *mut u64),
    body: impl FnOnce() -> Outcome<T>,
) -> i32 {
    wall(error, || {
        let out = Out::text(out, capacity, length)?;
        out.fill(body()?.to_string().as_bytes())
    })
}

/// JSON as large as what it tells, in memory that is asked for piece by piece: a status where there is not enough.
fn written(write: impl FnOnce(&mut Text) -> serde_json::Result<()>) -> Outcome<Vec<u8>> {
    let mut text = Text(Vec::new());
    let full = |_| Failure::of(ErrorKind::OutOfMemory, "no memory for the answer as JSON; ask for less of it");
    write(&mut text).map_err(full)?; // nothing else can fail
    Ok(text.0)
}

struct Text(Vec<u8>);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_reserve(bytes.len())?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Named numbers of a report as a JSON object.
pub(crate) fn facts(facts: &[(&str, u64)]) -> Map<String, Value> {
    facts.iter().map(|&(name, value)| (name.to_owned(), json!(value))).collect()
}

/// Counts and bytes of a store as a JSON object; the members of `accounted` sum to `disk_bytes`. `codecs` has payloads,
/// bytes and ratio of each codec, and the bytes per second that a thread of this process decodes, null until it did;
/// `holders` the processes that keep segments from being deleted. `cold_directory` is null, or {path, disk_bytes, problem}, of
/// which `problem` is why it cannot be used now.
#[unsafe(no_mangle)]
pub extern "C" fn ta_stat(store: u64, out: *mut c_char, capacity: u64, length: *mut u64, error: *mut ta_error) -> i32 {
    ta_stat_with(store, 0, out, capacity, length, error)
}

/// As ta_stat, ended with TA_CANCELLED soon after the cancel handle is set or its deadline has passed.
#[unsafe(no_mangle)]
pub extern "C" fn ta_stat_with(
    store: u64,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let flag = cancel::flag(cancel)?;
        Ok(json!(handle::get::<Store>(store)?.stat_within(&cancel::control(&flag))?))
    })
}

/// What the cache of decoded cold payloads holds and did, for all stores of this process, as a JSON object of numbers:
/// {budget_bytes, bytes, entries, hits, misses}.
#[unsafe(no_mangle)]
pub extern "C" fn ta_decode_cache(out: *mut c_char, capacity: u64, length: *mut u64, error: *mut ta_error) -> i32 {
    answer(error, (out, capacity, length), || Ok(Value::from(facts(&engine::decode_cache().facts()))))
}

/// Sets how many bytes of decoded cold payloads this process keeps, all stores together; 0 keeps none. Takes effect at once.
/// Without it an eighth of the memory, at most 1 GiB. What ta_map lends is not counted.
#[unsafe(no_mangle)]
pub extern "C" fn ta_set_decode_cache_bytes(budget: u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        engine::set_decode_cache_bytes(budget);
        Ok(())
    })
}

/// Reads everything below a prefix and reports damage as a JSON object, of which `unavailable` is null or why cold payloads could
/// not be looked at. The status is TA_OK also when there is damage.
#[unsafe(no_mangle)]
pub extern "C" fn ta_verify(
    store: u64,
    prefix: *const c_char,
    prefix_length: u64,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let mut options = VerifyOptions::new();
        if prefix_length > 0 {
            options = options.prefix(text(prefix, prefix_length)?);
        }
        let flag = cancel::flag(cancel)?;
        let report = handle::get::<Store>(store)?.verify(&options, &cancel::control(&flag))?;
        Ok(json!(report))
    })
}

/// As ta_verify, of what lies below a prefix in a namespace (NULL for the default one), and of nothing else of the store.
#[unsafe(no_mangle)]
pub extern "C" fn ta_verify_in(
    store: u64,
    ns: *const c_char,
    ns_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let (store, flag) = (handle::get::<Store>(store)?, cancel::flag(cancel)?);
        let prefix = text(prefix, prefix_length)?;
        let options = match namespace(&store, ns, ns_length)? {
            Some(space) => VerifyOptions::new().prefix_in(&space, prefix),
            None => VerifyOptions::new().prefix(prefix),
        };
        Ok(json!(store.verify(&options, &cancel::control(&flag))?))
    })
}

/// Runs a SELECT of at most 1,000,000 bytes on the public views, at most `row_limit` rows. JSON: {"columns": [..], "rows": [[..], ..]}, blobs as hex,
/// numbers JSON has no form for as null.
#[unsafe(no_mangle)]
pub extern "C" fn ta_query(
    store: u64,
    sql: *const c_char,
    sql_length: u64,
    row_limit: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_query_with(store, sql, sql_length, row_limit, 0, out, capacity, length, error)
}

/// As ta_query, ended with TA_CANCELLED soon after the cancel handle is set or its deadline has passed, in the middle of a
/// statement.
#[unsafe(no_mangle)]
pub extern "C" fn ta_query_with(
    store: u64,
    sql: *const c_char,
    sql_length: u64,
    row_limit: u64,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = Out::text(out, capacity, length)?;
        let (sql, rows, flag) = (document(sql, sql_length, SQL_BYTES_MAX)?, size(row_limit)?, cancel::flag(cancel)?);
        let result = handle::get::<Store>(store)?.query_within(sql, rows, &cancel::control(&flag))?;
        out.fill(&written(|json| serde_json::to_writer(json, &result))?)
    })
}
