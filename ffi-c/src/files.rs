//! Files of other formats, in and out.

use std::ffi::c_char;
use std::path::Path;

use engine::{ExportOptions, FileFormat, ImportOptions, Namespace, Snapshot, Store};
use serde_json::json;

use crate::memory::{One, optional_text, required, text};
use crate::options::{address, ta_key};
use crate::prefix::{namespace, scoped, within};
use crate::report::answer;
use crate::txn::Txn;
use crate::wall::{Failure, Outcome, ta_error, wall};
use crate::{cancel, handle};

/// A file is of the format that the end of its name says.
pub const TA_FORMAT_BY_NAME: u32 = 0;
/// A file is safetensors, whatever its name says.
pub const TA_FORMAT_SAFETENSORS: u32 = 1;
/// A file is NumPy's npy, whatever its name says.
pub const TA_FORMAT_NPY: u32 = 2;

/// Imports a safetensors or npy file in one commit, names prefixed; `lsn` is that commit.
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
        let options = ImportOptions::new().prefix(text(prefix, prefix_length)?);
        let flag = cancel::flag(cancel)?;
        let store = handle::get::<Store>(store)?;
        let options = into_namespace(options, namespace(&store, ns, ns_length)?);
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

/// As ta_import_in, of a file of the format TA_FORMAT_BY_NAME, TA_FORMAT_SAFETENSORS or TA_FORMAT_NPY. `into` is a store, or a
/// transaction that makes several files and other changes one commit. The report is a JSON object of numbers: {atoms,
/// file_bytes, payload_bytes, new_bytes, lsn}, of which `lsn` is 0 in a transaction. Too small a buffer is found out only when
/// all is done; 256 bytes are enough.
#[unsafe(no_mangle)]
pub extern "C" fn ta_import_with(
    into: u64,
    ns: *const c_char,
    ns_length: u64,
    path: *const c_char,
    path_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    format: u32,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let (path, prefix) = (Path::new(text(path, path_length)?), text(prefix, prefix_length)?);
        let format = match format {
            TA_FORMAT_BY_NAME => None,
            TA_FORMAT_SAFETENSORS => Some(FileFormat::Safetensors),
            TA_FORMAT_NPY => Some(FileFormat::Npy),
            other => return Err(Failure::argument(format!("no format of files has the number {other}"))),
        };
        let options = format.into_iter().fold(ImportOptions::new().prefix(prefix), ImportOptions::format);
        let flag = cancel::flag(cancel)?;
        let control = cancel::control(&flag);
        if handle::claims::<Txn>(into) {
            return handle::get::<Txn>(into)?.with(|store, txn| {
                let options = into_namespace(options, namespace(store, ns, ns_length)?);
                Ok(json!(txn.import_file(path, &options, &control)?))
            });
        }
        let store = handle::get::<Store>(into)?;
        let options = into_namespace(options, namespace(&store, ns, ns_length)?);
        Ok(json!(store.import_file(path, &options, &control)?))
    })
}

/// As ta_export_in, from a store or from a snapshot of it. Where several files were imported below the prefix, `file_name`
/// says which of them is meant; NULL for all atoms. The report is JSON: {atoms, file_bytes, header_kept}, of which
/// `header_kept` says that the file is the one once imported, the same bit for bit as long as its tensors are. Too small a
/// buffer is found out only when all is done; 256 bytes are enough.
#[unsafe(no_mangle)]
pub extern "C" fn ta_export_with(
    from: u64,
    ns: *const c_char,
    ns_length: u64,
    path: *const c_char,
    path_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    file_name: *const c_char,
    file_name_length: u64,
    cancel: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    answer(error, (out, capacity, length), || {
        let (path, options) = (Path::new(text(path, path_length)?), ExportOptions::new());
        let name = optional_text(file_name, file_name_length)?;
        let options =
            name.iter().fold(options.prefix(text(prefix, prefix_length)?), |options, &name| options.file_name(name));
        let flag = cancel::flag(cancel)?;
        let whole = moment(from)?;
        let part = scoped(&whole, namespace(whole.store(), ns, ns_length)?);
        Ok(json!(part.export_file(path, &options, &cancel::control(&flag))?))
    })
}

/// Writes one atom of a store or a snapshot into an npy file. bf16 and 8-bit floats, which NumPy lacks, become unsigned
/// integers of their size. TA_UNSUPPORTED for packed bits and blocks.
#[unsafe(no_mangle)]
pub extern "C" fn ta_export_npy(
    from: u64,
    key: *const ta_key,
    path: *const c_char,
    path_length: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (key, whole) = (required(key, "the key")?, moment(from)?);
        Ok(whole.export_npy(address(whole.store(), &key)?, Path::new(text(path, path_length)?))?)
    })
}

/// The same import, into a namespace where one is named.
fn into_namespace(options: ImportOptions, namespace: Option<Namespace>) -> ImportOptions {
    namespace.iter().fold(options, ImportOptions::namespace)
}

/// A snapshot, or the newest one of a store.
fn moment(from: u64) -> Outcome<Snapshot> {
    if handle::claims::<Snapshot>(from) {
        return Ok(handle::get::<Snapshot>(from)?.as_ref().clone());
    }
    Ok(handle::get::<Store>(from)?.snapshot()?)
}
