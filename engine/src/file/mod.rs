//! The seam between the engine and whatever holds its bytes: directories ([`Volume`]), files ([`File`]), maps, locks.
//! Knows bytes and names only: no format, no keys, no policy. Nothing outside this folder touches `std::fs`.
#![cfg_attr(
    not(any(test, feature = "testing")),
    allow(unreachable_pub, reason = "public with the feature `testing`, where tests bring volumes of their own")
)]

mod fork;
#[cfg(target_os = "linux")]
mod holders;
mod map;
#[cfg(unix)]
mod mapping;
#[cfg(unix)]
mod os;
mod shared;
#[cfg(windows)]
mod windows;

#[cfg(any(test, feature = "testing"))]
pub mod contract;
#[cfg(any(test, feature = "testing"))]
pub mod fault;
#[cfg(any(test, feature = "testing"))]
pub mod sim;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use fork::ForkGuard;
pub use map::{Map, MapSlice};
#[cfg(unix)]
use mapping::Mapping;
#[cfg(unix)]
pub use os::{OsVolume, Replacement, memory_bytes, open_files_limit, open_source};
#[cfg(unix)]
pub(crate) use os::{is_out_of_handles, random_bytes};
pub use shared::SharedMemory;
#[cfg(windows)]
use windows::Mapping;
#[cfg(windows)]
pub use windows::{OsVolume, Replacement, memory_bytes, open_files_limit, open_source};
#[cfg(windows)]
pub(crate) use windows::{is_out_of_handles, random_bytes};

/// How a file is opened. Every mode refuses symbolic links and anything but a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Existing file, reading only.
    Read,
    /// Existing file, reading and writing.
    Write,
    /// Reading and writing; made empty when missing.
    Create,
    /// Reading and writing; fails with `AlreadyExists` when there is one.
    CreateNew,
}

/// Strength of an advisory lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Held beside other shared locks; needs no write permission.
    Shared,
    /// Excludes every other lock on the range.
    Exclusive,
}

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockHolder {
    /// Number of the process.
    pub process: u32,
    /// Name of its program, as the system shortens it; `None` if the process ended meanwhile.
    pub program: Option<String>,
}

/// One directory entry with its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name inside its directory.
    pub name: String,
    /// Length in bytes; 0 for a directory.
    pub len_bytes: u64,
    /// True for a directory.
    pub is_dir: bool,
}

/// What kind of medium a volume lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A local file system: locks, maps and syncs mean what they say.
    Local,
    /// A network or host-shared file system of this name.
    Network(&'static str),
}

/// What tells one directory from another inside one machine, however it was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity(pub u64, pub u64);

/// A directory tree that holds one store, or its cold part. Names are relative, `/`-separated, at most one level deep.
///
/// Durability of *names*: a created, renamed or removed entry survives power loss only after [`Volume::sync_dir`] of
/// its directory. Durability of *contents* is the file's business.
pub trait Volume: Send + Sync + fmt::Debug + 'static {
    /// Opens a file. Does not sync anything.
    fn open(&self, name: &str, how: Open) -> io::Result<Arc<dyn File>>;

    /// Creates a directory; one that exists already is no error.
    fn create_dir(&self, name: &str) -> io::Result<()>;

    /// Entries of a directory (`""` is the volume itself), in no particular order.
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>>;

    /// True when an entry of this name exists. Does not follow links.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// Renames inside the volume, replacing the target atomically.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Open handles and maps of it stay usable.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in a directory durable. Blocks until the device answers.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Another directory of the machine, perhaps on another disk; a relative path starts in this one. With `create` it is
    /// made first, its missing parents as well, and their names are durable. Fails with `Unsupported` where there is
    /// only one.
    fn open_dir(&self, path: &Path, create: bool) -> io::Result<Arc<dyn Volume>> {
        let _ = (path, create);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where the volume lies.
    fn medium(&self) -> io::Result<Medium>;

    /// True when this process may not create files here, or the medium is read-only.
    fn is_read_only(&self) -> bool;

    /// True when other users of the machine may create or replace files here.
    fn is_world_writable(&self) -> io::Result<bool>;

    /// What tells this directory from others, and this simulated process from others.
    fn identity(&self) -> Identity;

    /// Changes at every boot of the machine, so that a power cut can be told from a dead process. Zero if unknown.
    fn boot_id(&self) -> u128;

    /// Wall clock, microseconds since the Unix epoch. May go backwards.
    fn now_us(&self) -> i64;

    /// Fills a buffer with unpredictable bytes.
    fn random(&self, buffer: &mut [u8]) -> io::Result<()>;
}

/// An open file. All I/O is positioned; there is no cursor.
#[allow(clippy::len_without_is_empty)] // an empty file is nothing special
pub trait File: Send + Sync + fmt::Debug + 'static {
    /// Current length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Reads at an offset. Returns fewer bytes than asked only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at an offset, growing the file if needed. After an error any part may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reserves real space for a range, growing the file with zeros. Later writes inside it cannot run out of space.
    fn preallocate(&self, range: Range<u64>) -> io::Result<()>;

    /// Cuts or grows (with a hole) the file.
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;

    /// Makes contents and length durable. Blocks until the device answers.
    ///
    /// An error is final: the system may report it once and then call lost data clean. Never call it again on this
    /// file to "retry"; abandon what was written since the last success.
    fn sync_data(&self) -> io::Result<()>;

    /// As [`File::sync_data`], and all metadata.
    fn sync_all(&self) -> io::Result<()>;

    /// Takes or changes a lock on a byte range without waiting; false when another *handle* (of any process, this one
    /// included) stands in the way. The operating system drops a dead process's locks. Ranges may lie past the end.
    fn try_lock(&self, range: Range<u64>, mode: LockMode) -> io::Result<bool>;

    /// Gives a range back.
    fn unlock(&self, range: Range<u64>) -> io::Result<()>;

    /// The strongest lock another handle holds in the range.
    fn probe_lock(&self, range: Range<u64>) -> io::Result<Option<LockMode>>;

    /// Processes that hold a lock in the range, as far as the system shows them. For people: slow, and out of date at once.
    fn lock_holders(&self, _range: Range<u64>) -> io::Result<Vec<LockHolder>> {
        Ok(Vec::new())
    }

    /// A read-only map of the file's first `committed` bytes, which nobody changes any more.
    ///
    /// `reserve` is how large the file may become: where the system allows it the map covers that much, so that bytes
    /// committed later are seen through the same map ([`Map::covers`]).
    fn map(&self, committed: u64, reserve: u64) -> io::Result<Map>;

    /// Memory shared by all processes that ask for this range of this file; `None` when the file is shorter and
    /// `grow` is false. Contents are not durable.
    fn shared_memory(&self, range: Range<u64>, grow: bool, writable: bool) -> io::Result<Option<SharedMemory>>;
}

/// Reads exactly `buffer.len()` bytes or fails with `UnexpectedEof`.
pub(crate) fn read_exact_at(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let read = file.read_at(buffer, offset)?;
    if read == buffer.len() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the file ends at byte {}", offset.saturating_add(read as u64)),
    ))
}

/// Reads a whole small file, refusing one larger than `limit_bytes`.
pub(crate) fn read_all(file: &dyn File, limit_bytes: usize) -> io::Result<Vec<u8>> {
    let len = file.len()?;
    let len = usize::try_from(len).ok().filter(|&l| l <= limit_bytes).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{len} bytes is more than the {limit_bytes} allowed"))
    })?;
    let mut bytes = vec![0; len];
    read_exact_at(file, &mut bytes, 0)?;
    Ok(bytes)
}
