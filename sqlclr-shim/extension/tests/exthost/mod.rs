//! The host's side of the interface: loads the library that was built, at run time, as `exthost` does.
#![allow(non_snake_case, clippy::too_many_arguments)] // names and arguments are those of the interface
#![allow(dead_code)] // each program of tests calls what it needs

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libloading::Library;

/// Identifies a session. Passed by value; laid out here anew, for the library is not to lend its own idea of it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Guid(pub(crate) u32, pub(crate) u16, pub(crate) u16, pub(crate) [u8; 8]);

/// Path of the shared library: the one that is named, for another system perhaps, or one built on first use, for cargo builds none
/// for tests.
pub(crate) fn library() -> PathBuf {
    if let Some(named) = std::env::var_os("TENSORATOM_EXTENSION_LIBRARY") {
        return PathBuf::from(named);
    }
    let profile = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let out = Command::new(env!("CARGO"))
        .args(["libraries", "--target-dir"])
        .arg(profile.parent().unwrap())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    profile.join("libtensoratom_extension.so")
}

/// The library, loaded once and never closed.
fn loaded() -> &'static Library {
    static LOADED: OnceLock<Library> = OnceLock::new();
    LOADED.get_or_init(|| {
        // SAFETY: what the library does when it is loaded is what is tested.
        unsafe { Library::new(library()) }.unwrap()
    })
}

/// Functions that look an export up and call it with the signature of the interface's headers.
macro_rules! exports {
    ($($name:ident($($argument:ident: $type:ty),*) -> $out:ty;)*) => {$(
        pub(crate) fn $name($($argument: $type),*) -> $out {
            type Export = unsafe extern "C" fn($($type),*) -> $out;
            // SAFETY: the export has this signature, which the headers of the interface fix.
            let export = unsafe { loaded().get::<Export>(stringify!($name)) }.unwrap();
            // SAFETY: tests pass pointers to vectors and variables with the length beside them, or NULL.
            unsafe { export($($argument),*) }
        }
    )*};
}

exports! {
    GetInterfaceVersion() -> u16;
    Init(params: *const u8, params_len: u64, path: *const u8, path_len: u64, public: *const u8, public_len: u64,
        private: *const u8, private_len: u64) -> i16;
    InitSession(guid: Guid, task: u16, tasks: u16, script: *const u8, script_len: u64, columns: u16, params: u16,
        input: *const u8, input_len: u16, output: *const u8, output_len: u16) -> i16;
    InitColumn(guid: Guid, task: u16, number: u16, name: *const u8, name_len: i16, ctype: i16, size: u64, digits: i16,
        nullable: i16, partition: i16, order: i16) -> i16;
    InitParam(guid: Guid, task: u16, number: u16, name: *const u8, name_len: i16, ctype: i16, size: u64, digits: i16,
        value: *const c_void, indicator: i32, direction: i16) -> i16;
    Execute(guid: Guid, task: u16, rows: u64, data: *const *const c_void, indicators: *const *const i32,
        columns_out: *mut u16) -> i16;
    GetResultColumn(guid: Guid, task: u16, number: u16, ctype: *mut i16, size: *mut u64, digits: *mut i16,
        nullable: *mut i16) -> i16;
    GetResults(guid: Guid, task: u16, rows: *mut u64, data: *mut *mut *mut c_void, indicators: *mut *mut *mut i32) -> i16;
    GetOutputParam(guid: Guid, task: u16, number: u16, value: *mut *mut c_void, indicator: *mut i32) -> i16;
    CleanupSession(guid: Guid, task: u16) -> i16;
    Cleanup() -> i16;
}
