//! Status numbers, versions of the interface, names of both.

use crate::memory::Out;
use crate::wall::{Failure, ta_error, wall};
use std::ffi::c_char;

/// Version of the binary interface.
pub const TA_ABI_VERSION: u32 = 1;

macro_rules! binding_statuses {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Name of a status of this interface itself.
        fn binding_name(status: i32) -> Option<&'static str> {
            match status { $($number => Some($text),)* _ => None }
        }

        #[cfg(test)]
        const BINDING: &[(i32, i32)] = &[$(($name, $number),)*];
    };
}

binding_statuses! {
    TA_INVALID_HANDLE = 1000, "InvalidHandle";
    TA_BUFFER_TOO_SMALL = 1001, "BufferTooSmall";
    TA_PANIC = 1002, "Panic";
    TA_OK = 0, "Ok";
}

/// Success.
pub const TA_OK: i32 = 0;
/// The handle is closed, stale, forged, of another store or of another type.
pub const TA_INVALID_HANDLE: i32 = 1000;
/// The output does not fit; its length was set.
pub const TA_BUFFER_TOO_SMALL: i32 = 1001;
/// The library broke a promise of its own, and stopped before harm was done. Please report it.
pub const TA_PANIC: i32 = 1002;

/// Number of ErrorKind `NotFound`; likewise below.
pub const TA_NOT_FOUND: i32 = 1;
/// Something of that name is there already.
pub const TA_ALREADY_EXISTS: i32 = 2;
/// Another commit changed it since it was read.
pub const TA_CONFLICT: i32 = 3;
/// An argument is outside what the call accepts.
pub const TA_INVALID_ARGUMENT: i32 = 4;
/// A key is empty, too long, or holds a NUL.
pub const TA_INVALID_KEY: i32 = 5;
/// Shape, type and length do not belong together.
pub const TA_INVALID_SHAPE: i32 = 6;
/// Metadata is not one JSON object, or too large.
pub const TA_INVALID_METADATA: i32 = 7;
/// Not possible in this state or for this type.
pub const TA_UNSUPPORTED: i32 = 8;
/// The moment asked for lies in history that was given up.
pub const TA_FORGOTTEN: i32 = 9;
/// The directory is not a store.
pub const TA_NOT_A_STORE: i32 = 20;
/// Written by a newer version of the format.
pub const TA_NEWER_FORMAT: i32 = 21;
/// On a network file system.
pub const TA_NETWORK_FILE_SYSTEM: i32 = 22;
/// The store, handle or medium is read-only.
pub const TA_READ_ONLY: i32 = 23;
/// The operating system refused access.
pub const TA_PERMISSION_DENIED: i32 = 24;
/// Another process or thread holds it longer than the timeout.
pub const TA_BUSY: i32 = 25;
/// Stored bytes of one atom are damaged.
pub const TA_CORRUPT: i32 = 40;
/// The catalog is damaged; ta_repair restores it.
pub const TA_CATALOG_CORRUPT: i32 = 41;
/// A file offered for import contradicts itself.
pub const TA_BAD_FILE: i32 = 42;
/// The device or the operating system failed.
pub const TA_IO: i32 = 60;
/// No space or quota left.
pub const TA_DISK_FULL: i32 = 61;
/// Memory could not be had.
pub const TA_OUT_OF_MEMORY: i32 = 62;
/// A write failed earlier; reopen the store.
pub const TA_POISONED: i32 = 63;
/// The store was closed.
pub const TA_CLOSED: i32 = 80;
/// Opened before fork.
pub const TA_FORKED: i32 = 81;
/// The cancel handle was set, or its deadline passed.
pub const TA_CANCELLED: i32 = 82;
/// A promise of the engine was broken. Please report it.
pub const TA_INTERNAL: i32 = 99;

/// Version of the binary interface of the library that was loaded; compare with TA_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn ta_abi_version() -> u32 {
    TA_ABI_VERSION
}

/// Largest interface version this library serves.
#[unsafe(no_mangle)]
pub extern "C" fn ta_last_supported() -> u32 {
    TA_ABI_VERSION
}

/// Version of the library (`0.1.0`).
#[unsafe(no_mangle)]
pub extern "C" fn ta_version(out: *mut c_char, capacity: u64, length: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || Out::text(out, capacity, length)?.fill(env!("CARGO_PKG_VERSION").as_bytes()))
}

/// Name of a status (`NotFound`). TA_INVALID_ARGUMENT for a number that no status has.
#[unsafe(no_mangle)]
pub extern "C" fn ta_status_name(
    status: i32,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let kind = engine::ErrorKind::ALL.iter().find(|kind| i32::from(kind.number()) == status);
        let name = kind.map(|kind| kind.name()).or_else(|| binding_name(status));
        let name = name.ok_or_else(|| Failure::argument(format!("no status has the number {status}")))?;
        Out::text(out, capacity, length)?.fill(name.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // A constant that drifts from its number would make the header lie about what the library returns.
    #[test]
    fn binding_statuses_have_the_numbers_of_their_names() {
        assert!(BINDING.iter().all(|(constant, number)| constant == number));
    }

    // A kind added to the engine would reach C programs as a number without a name in the header.
    #[test]
    fn every_kind_of_the_engine_is_in_the_header() {
        let header = include_str!("../include/tensoratom.h");
        for kind in engine::ErrorKind::ALL {
            let mut name = String::from("TA");
            let (text, mut lower) = (kind.name(), true);
            for letter in text.chars() {
                if letter.is_uppercase() && lower {
                    name.push('_');
                }
                lower = letter.is_lowercase() || kind.name() == "NotAStore";
                name.push(letter.to_ascii_uppercase());
            }
            assert!(header.contains(&format!("#define {name} {}\n", kind.number())), "{name}");
        }
    }
}
