//! What is large and rarely read: reports as JSON text.

use engine::{SqlValue, Store, VerifyOptions};
use serde_json::{Map, Value, json};
use std::ffi::c_char;
use std::fmt::Display;

use crate::memory::{Out, size, text};
use crate::wall::{Outcome, ta_error, wall};
use crate::{cancel, handle};

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

/// Named numbers of a report as a JSON object.
pub(crate) fn facts(facts: &[(&str, u64)]) -> Map<String, Value> {
    facts.iter().map(|&(name, value)| (name.to_owned(), json!(value))).collect()
}

/// Counts and bytes of a store as a JSON object; the members of `accounted` sum to `disk_bytes`. `codecs` has payloads,
/// bytes and ratio of each codec, and the bytes per second that a thread of this process decodes, null until it did;
/// `holders` the processes that keep segments from being deleted.
#[unsafe(no_mangle)]
pub extern "C" fn ta_stat(store: u64, out: *mut c_char, capacity: u64, length: *mut u64, error: *mut ta_error) -> i32 {
    answer(error, (out, capacity, length), || Ok(json!(handle::get::<Store>(store)?.stat()?)))
}

/// Reads everything below a prefix and reports damage as a JSON object. The status is TA_OK also when there is damage.
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

/// Runs a SELECT on the public views, at most `row_limit` rows. JSON: {"columns": [..], "rows": [[..], ..]}, blobs as hex,
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
    answer(error, (out, capacity, length), || {
        let result = handle::get::<Store>(store)?.query(text(sql, sql_length)?, size(row_limit)?)?;
        let cell = |value: &SqlValue| match value {
            SqlValue::Null => Value::Null,
            SqlValue::Integer(number) => json!(number),
            SqlValue::Real(number) => json!(number),
            SqlValue::Text(text) => json!(text),
            SqlValue::Blob(bytes) => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        };
        let rows: Vec<Vec<Value>> = result.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        Ok(json!({ "columns": result.columns, "rows": rows }))
    })
}
