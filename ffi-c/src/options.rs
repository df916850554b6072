//! Structs of C that describe stores, keys and tensors.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use engine::{Address, Durability, KeyRef, Options, RANK_MAX, ReadMode, Store, Tensor};

use crate::math::dtype;
use crate::memory::{input, optional_text, size, structure, text};
use crate::wall::{Failure, Outcome};

/// Make the store if it is not there.
pub const TA_CREATE: u32 = 1;
/// Open for reading only.
pub const TA_OPEN_READ_ONLY: u32 = 2;
/// Copy payload bytes by positioned reads; map none.
pub const TA_POSITIONED: u32 = 4;
/// Commits do not wait for the device: they survive the process, not the machine.
pub const TA_NO_SYNC: u32 = 8;
/// Make the store; TA_ALREADY_EXISTS where one is there.
pub const TA_CREATE_NEW: u32 = 16;

/// How to open a store. All zero is the default, and so is NULL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ta_options {
    /// TA_CREATE, TA_OPEN_READ_ONLY, TA_POSITIONED, TA_NO_SYNC, TA_CREATE_NEW or-ed together.
    pub flags: u32,
    /// Raw bytes of a chunk, at creation; 0 for 256 KiB.
    pub chunk_bytes: u32,
    /// Bytes of a segment, at creation; 0 for 256 MiB.
    pub segment_bytes: u64,
    /// Bound of the cache of descriptors; 0 for the default.
    pub cache_bytes: u64,
    /// Threads for large payloads; 0 for all cores.
    pub threads: u64,
    /// Milliseconds to wait for locks of other processes; 0 for the default.
    pub lock_timeout_ms: u64,
    /// Where a store that is made keeps its cold tier, perhaps on another disk: UTF-8, absolute or relative to the store; of a
    /// store that is there, the directory in use. NULL for the store's own.
    pub cold_directory: *const c_char,
    /// Its bytes.
    pub cold_directory_length: u64,
}

/// A key: a name, or where `name` is NULL a number; in a namespace, or where `ns` is NULL in the default one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ta_key {
    /// Name of the namespace, or NULL.
    pub ns: *const c_char,
    /// Its bytes.
    pub ns_length: u64,
    /// UTF-8, or NULL for a number.
    pub name: *const c_char,
    /// Its bytes.
    pub name_length: u64,
    /// The key where `name` is NULL.
    pub number: i64,
}

/// A tensor in memory of the caller, C order, little-endian, any alignment.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ta_tensor {
    /// The elements.
    pub data: *const c_void,
    /// Bytes at `data`.
    pub bytes: u64,
    /// Dimensions, outermost first; NULL for a scalar.
    pub shape: *const u64,
    /// Number of dimensions, at most 64.
    pub rank: u32,
    /// Element type.
    pub dtype: u32,
}

/// Whether a store is made.
pub(crate) enum Make {
    Never,
    IfMissing,
    Always,
}

/// Options and whether to create.
pub(crate) fn options(pointer: *const ta_options) -> Outcome<(Options, Make)> {
    let Some(c) = structure(pointer)? else { return Ok((Options::new(), Make::Never)) };
    let known = TA_CREATE | TA_OPEN_READ_ONLY | TA_POSITIONED | TA_NO_SYNC | TA_CREATE_NEW;
    if c.flags & !known != 0 {
        return Err(Failure::argument(format!("flags {:#x} are not known", c.flags & !known)));
    }
    let mut options = Options::new().read_only(c.flags & TA_OPEN_READ_ONLY != 0);
    if c.flags & TA_POSITIONED != 0 {
        options = options.read_mode(ReadMode::Positioned);
    }
    if c.flags & TA_NO_SYNC != 0 {
        options = options.durability(Durability::Process);
    }
    if c.chunk_bytes != 0 {
        options = options.chunk_bytes(c.chunk_bytes);
    }
    if c.segment_bytes != 0 {
        options = options.segment_bytes(c.segment_bytes);
    }
    if c.cache_bytes != 0 {
        options = options.cache_bytes(c.cache_bytes);
    }
    if c.threads != 0 {
        options = options.threads(size(c.threads)?);
    }
    if c.lock_timeout_ms != 0 {
        options = options.lock_timeout(Duration::from_millis(c.lock_timeout_ms));
    }
    if let Some(path) = optional_text(c.cold_directory, c.cold_directory_length)? {
        options = options.cold_directory(path);
    }
    let make = match c.flags & (TA_CREATE | TA_CREATE_NEW) {
        0 => Make::Never,
        TA_CREATE => Make::IfMissing,
        _ => Make::Always,
    };
    Ok((options, make))
}

/// The name or the number of a key, whatever its namespace.
pub(crate) fn name<'a>(key: &ta_key) -> Outcome<KeyRef<'a>> {
    Ok(optional_text(key.name, key.name_length)?.map_or(key.number.into(), KeyRef::from))
}

/// The address a key names in a store.
pub(crate) fn address<'a>(store: &Store, key: &ta_key) -> Outcome<Address<'a>> {
    let name = name(key)?;
    if key.ns_length == 0 {
        return Ok(name.into());
    }
    Ok(store.namespace(text(key.ns, key.ns_length)?)?.key(name))
}

/// The tensor a struct describes.
pub(crate) fn tensor<'a>(c: &ta_tensor) -> Outcome<Tensor<'a>> {
    let shape = shape(c.shape, c.rank)?;
    Ok(Tensor::new(dtype(c.dtype)?, shape, input(c.data.cast::<u8>(), c.bytes)?)?)
}

/// Dimensions of the caller, at most as many as a tensor may have.
pub(crate) fn shape<'a>(shape: *const u64, rank: u32) -> Outcome<&'a [u64]> {
    if rank as usize > RANK_MAX {
        return Err(Failure::of(engine::ErrorKind::InvalidShape, format!("{rank} dimensions; at most {RANK_MAX}")));
    }
    input(shape, u64::from(rank))
}
