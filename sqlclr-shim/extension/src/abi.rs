//! The eleven exports of the host's interface, version 2. All memory of the host is read and written here alone.
#![allow(non_snake_case, clippy::too_many_arguments)] // the interface names its functions and their arguments
#![allow(clippy::missing_safety_doc)] // one contract holds for all, told at `Host`

use std::ffi::c_void;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{Error, Result};

use crate::data::{self, Input, Type};
use crate::session::{self, Session};

const SUCCESS: i16 = 0;
const FAILURE: i16 = -1;
const NULL_DATA: i32 = -1;

/// Identifies a session. Passed by value.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guid(pub u32, pub u16, pub u16, pub [u8; 8]);

impl Guid {
    fn id(self, task: u16) -> session::Id {
        let mut bytes = [0; 16];
        let parts = self.0.to_le_bytes().into_iter().chain(self.1.to_le_bytes()).chain(self.2.to_le_bytes());
        bytes.iter_mut().zip(parts.chain(self.3)).for_each(|(to, from)| *to = from);
        (bytes, task)
    }
}

/// The version of the interface spoken here.
#[unsafe(no_mangle)]
pub extern "C" fn GetInterfaceVersion() -> u16 {
    2
}

/// Takes the path of the configuration from the parameters of the external language; empty means the usual place.
///
/// # Safety
/// As the host's interface says: each pointer is NULL or leads to as many bytes as the length beside it. The same holds
/// for all functions here; results are written to places the host owns, and may be NULL as well.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Init(
    parameters: *const u8,
    parameters_len: u64,
    _path: *const u8,
    _path_len: u64,
    _public: *const u8,
    _public_len: u64,
    _private: *const u8,
    _private_len: u64,
) -> i16 {
    wall("Init", || {
        let text = text(parameters, parameters_len)?;
        session::configure(crate::config::file(text.trim_end_matches('\0')));
        Ok(())
    })
}

/// Opens a session for a script.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn InitSession(
    guid: Guid,
    task: u16,
    _tasks: u16,
    script: *const u8,
    script_len: u64,
    columns: u16,
    params: u16,
    _input: *const u8,
    _input_len: u16,
    _output: *const u8,
    _output_len: u16,
) -> i16 {
    wall("InitSession", || {
        let script = text(script, script_len)?;
        session::begin(guid.id(task), Session::new(script, usize::from(columns), usize::from(params)))
    })
}

/// Tells the type of a column of the input.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn InitColumn(
    guid: Guid,
    task: u16,
    number: u16,
    _name: *const u8,
    _name_len: i16,
    ctype: i16,
    size: u64,
    digits: i16,
    _nullable: i16,
    _partition: i16,
    _order: i16,
) -> i16 {
    wall("InitColumn", || {
        data::width(ctype)?;
        session::with(guid.id(task), |session| {
            let column = session.columns.get_mut(usize::from(number)).ok_or_else(|| unknown("column", number))?;
            *column = Type { ctype, size: length(size)?, digits };
            Ok(())
        })
    })
}

/// Tells a parameter and its value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn InitParam(
    guid: Guid,
    task: u16,
    number: u16,
    name: *const u8,
    name_len: i16,
    ctype: i16,
    size: u64,
    digits: i16,
    value: *const c_void,
    indicator: i32,
    _direction: i16,
) -> i16 {
    wall("InitParam", || {
        let name = text(name, u64::try_from(name_len).unwrap_or(0))?;
        let cell = match data::width(ctype)? {
            _ if indicator == NULL_DATA || value.is_null() => None,
            Some(width) => Some(copy(value.cast(), width)?),
            None => Some(copy(value.cast(), value_length(indicator)?)?),
        };
        session::with(guid.id(task), |session| {
            let param = session.params.get_mut(usize::from(number)).ok_or_else(|| unknown("parameter", number))?;
            param.name = name;
            (param.kind, param.value) = (Type { ctype, size: length(size)?, digits }, cell);
            Ok(())
        })
    })
}

/// Runs the script on a chunk of rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Execute(
    guid: Guid,
    task: u16,
    rows: u64,
    data: *const *const c_void,
    indicators: *const *const i32,
    columns_out: *mut u16,
) -> i16 {
    wall("Execute", || {
        let columns = session::with(guid.id(task), |session| {
            let rows = length(rows)?;
            let column = |(index, kind): (usize, &Type)| {
                let (data, indicators) = match rows {
                    0 => (std::ptr::null(), std::ptr::null()),
                    _ => (element(data, index), element(indicators, index)),
                };
                Ok(Input { kind: *kind, cells: cells(kind.ctype, rows, data.cast(), indicators)? })
            };
            let columns = session.columns.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
            session.execute(&columns, rows)
        })?;
        write(columns_out, columns);
        Ok(())
    })
}

/// Tells the type of a column of the result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn GetResultColumn(
    guid: Guid,
    task: u16,
    number: u16,
    ctype: *mut i16,
    size: *mut u64,
    digits: *mut i16,
    nullable: *mut i16,
) -> i16 {
    wall("GetResultColumn", || {
        session::with(guid.id(task), |session| {
            let column = session.results.get(usize::from(number)).ok_or_else(|| unknown("result column", number))?;
            write(ctype, column.kind.ctype);
            write(size, u64::try_from(column.kind.size).unwrap_or(u64::MAX));
            write(digits, column.kind.digits);
            write(nullable, 1);
            Ok(())
        })
    })
}

/// Hands out the result. Its memory stays until the next `Execute` or `CleanupSession`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn GetResults(
    guid: Guid,
    task: u16,
    rows: *mut u64,
    data: *mut *mut *mut c_void,
    indicators: *mut *mut *mut i32,
) -> i16 {
    wall("GetResults", || {
        session::with(guid.id(task), |session| {
            let values =
                session.results.iter_mut().map(|column| column.words.as_mut_ptr().expose_provenance()).collect();
            let lengths =
                session.results.iter_mut().map(|column| column.lengths.as_mut_ptr().expose_provenance()).collect();
            session.handed = [values, lengths];
            let [values, lengths] = &mut session.handed;
            write(data, values.as_mut_ptr().cast());
            write(indicators, lengths.as_mut_ptr().cast());
            write(rows, u64::try_from(session.rows).unwrap_or(u64::MAX));
            Ok(())
        })
    })
}

/// Hands out a parameter: `@rows` is the number of rows of all results, others are as they came.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn GetOutputParam(
    guid: Guid,
    task: u16,
    number: u16,
    value: *mut *mut c_void,
    indicator: *mut i32,
) -> i16 {
    wall("GetOutputParam", || {
        session::with(guid.id(task), |session| {
            let (words, length) = session.output(usize::from(number))?;
            write(value, words.as_mut_ptr().cast());
            write(indicator, length);
            Ok(())
        })
    })
}

/// Ends a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn CleanupSession(guid: Guid, task: u16) -> i16 {
    wall("CleanupSession", || {
        session::end(guid.id(task));
        Ok(())
    })
}

/// Ends all sessions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Cleanup() -> i16 {
    wall("Cleanup", || {
        session::end_all();
        Ok(())
    })
}

/// Nothing that happens inside reaches the host but a status; the text goes to the caller's messages by way of stderr.
fn wall(name: &str, body: impl FnOnce() -> Result<()>) -> i16 {
    let what = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return SUCCESS,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "an internal error; please report it".to_owned(),
    };
    drop(writeln!(std::io::stderr(), "tensoratom: {name}: {what}"));
    FAILURE
}

fn unknown(what: &str, number: u16) -> Error {
    Error::invalid_argument(format!("there is no {what} {number}"))
}

fn length(bytes: u64) -> Result<usize> {
    let bytes = usize::try_from(bytes).ok().filter(|bytes| isize::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| Error::invalid_argument("a length is larger than memory can be"))
}

fn value_length(indicator: i32) -> Result<usize> {
    usize::try_from(indicator).map_err(|_| Error::invalid_argument(format!("{indicator} is no length of a value")))
}

fn text(from: *const u8, bytes: u64) -> Result<String> {
    String::from_utf8(copy(from, length(bytes)?)?).map_err(|_| Error::invalid_argument("a text is not valid UTF-8"))
}

/// Values of a column: fixed widths lie as an array, others back to back, NULL without room. They are the host's, and may be
/// looked at until the call returns.
fn cells<'h>(ctype: i16, rows: usize, data: *const u8, indicators: *const i32) -> Result<Vec<Option<&'h [u8]>>> {
    let fixed = data::width(ctype)?;
    let mut cells = Vec::new();
    cells.try_reserve_exact(rows).map_err(|_| Error::invalid_argument("no memory for the rows; send fewer"))?;
    if rows > 0 && fixed.is_none() && indicators.is_null() {
        return Err(Error::invalid_argument("a column of varying length came without lengths"));
    }
    let mut offset = 0_usize;
    for row in 0..rows {
        let indicator = if indicators.is_null() { 0 } else { element(indicators, row) };
        let null = indicator == NULL_DATA;
        let bytes = match fixed {
            Some(width) => width,
            None if null => 0,
            None => value_length(indicator)?,
        };
        cells.push(if null { None } else { Some(lent(data.wrapping_add(offset), bytes)?) });
        offset = offset.checked_add(bytes).ok_or_else(|| Error::invalid_argument("a column is too long"))?;
    }
    Ok(cells)
}

/// Bytes of the host, until the call returns. NULL where bytes are told is refused.
fn lent<'h>(from: *const u8, bytes: usize) -> Result<&'h [u8]> {
    if bytes == 0 {
        return Ok(&[]);
    }
    if from.is_null() {
        return Err(Error::invalid_argument("the host passed NULL where bytes are told"));
    }
    // SAFETY: not NULL, at most isize::MAX bytes (`length` and 32-bit indicators), and the contract of `Init` says that as many
    // lie there, unchanged during the call; what callers make of them does not outlive it.
    Ok(unsafe { std::slice::from_raw_parts(from, bytes) })
}

/// Bytes of the host, in memory of ours.
fn copy(from: *const u8, bytes: usize) -> Result<Vec<u8>> {
    let from = lent(from, bytes)?;
    let mut to = Vec::new();
    to.try_reserve_exact(bytes).map_err(|_| Error::invalid_argument("no memory for a value"))?;
    to.extend_from_slice(from);
    Ok(to)
}

/// An element of an array of the host; NULL or 0 where there is no array.
fn element<T: Copy + NullOr>(array: *const T, index: usize) -> T {
    if array.is_null() {
        return T::NONE;
    }
    let place = array.wrapping_add(index);
    // SAFETY: the contract of `Init` says that the array has one element per row or column; no alignment is assumed.
    unsafe { place.read_unaligned() }
}

/// What stands for an element that is not there.
trait NullOr {
    const NONE: Self;
}

impl<T> NullOr for *const T {
    const NONE: Self = std::ptr::null();
}

impl NullOr for i32 {
    const NONE: Self = 0;
}

/// Writes to a place of the host, unless it is NULL.
fn write<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not NULL, and the contract of `Init` says that such places belong to the host and take a value.
        unsafe { place.write_unaligned(value) }
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    // A panic that crossed into the host would end every script that runs there.
    #[test]
    fn a_panic_is_a_status() {
        assert_eq!(wall("test", || panic!("on purpose")), FAILURE);
        assert_eq!(wall("test", || Ok(())), SUCCESS);
    }

    // One export outside the wall is enough for that.
    #[test]
    fn every_export_is_inside_the_wall() {
        let exports: Vec<&str> = include_str!("abi.rs").split("pub unsafe extern \"C\" fn ").skip(1).collect();
        assert_eq!(exports.len(), 10, "all but the number of the interface's version");
        for export in exports {
            let (name, rest) = export.split_once('(').unwrap_or_default();
            let body = rest.split_once("-> i16 {\n").map_or("", |(_, body)| body);
            assert!(body.trim_start().starts_with(&format!("wall(\"{name}\", ")), "{name}");
        }
    }
}
