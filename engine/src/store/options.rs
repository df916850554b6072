//! How a store is created and opened.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN};

/// When a commit returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After the device answered: the commit survives power loss.
    #[default]
    Full,
    /// After the operating system has it: the commit survives the death of all processes. After power loss a prefix of
    /// the commits is there, none in part and none damaged.
    Process,
}

/// How payload bytes reach the caller. Results are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// Slices of a memory map, verified once per chunk and process: no copy.
    #[default]
    Mapped,
    /// Copies made by positioned reads, verified each time: a damaged or truncated file is an error code whatever
    /// happens, never a signal.
    Positioned,
}

/// Options of [`Store::open`](crate::Store::open) and [`Store::create`](crate::Store::create).
///
/// `segment_bytes` and `chunk_bytes` matter at creation only; an existing store keeps its own.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) segment_bytes: u64,
    pub(crate) chunk_bytes: u32,
    pub(crate) durability: Durability,
    pub(crate) read_mode: ReadMode,
    pub(crate) cache_bytes: u64,
    pub(crate) hot_bytes: u64,
    pub(crate) read_only: bool,
    pub(crate) threads: usize,
    pub(crate) lock_timeout: Duration,
}

impl Options {
    /// Default size of a segment: 256 MiB.
    pub const SEGMENT_BYTES: u64 = 256 << 20;
    /// Default size of a chunk: 256 KiB.
    pub const CHUNK_BYTES: u32 = 256 << 10;
    /// Default budget for cached descriptors: 64 MiB.
    pub const CACHE_BYTES: u64 = 64 << 20;
    /// Default budget for reading pinned payloads into memory at open: 1 GiB.
    pub const HOT_BYTES: u64 = 1 << 30;
    /// Default wait for locks of other processes: 30 seconds.
    pub const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Capacity of a segment in bytes, 128 KiB to 1 TiB. Smaller: space is freed in smaller steps, more files. Larger:
    /// fewer files. A payload larger than a segment gets one of its own size. Default [`Options::SEGMENT_BYTES`].
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Unit of checksum and partial read in bytes, a power of two from 4 KiB to 64 MiB. Smaller: cheaper first touch of
    /// small ranges, more checksums. Default [`Options::CHUNK_BYTES`].
    #[must_use]
    pub fn chunk_bytes(mut self, bytes: u32) -> Self {
        self.chunk_bytes = bytes;
        self
    }

    /// What a commit promises. Default [`Durability::Full`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How payloads are read. Default [`ReadMode::Mapped`].
    #[must_use]
    pub fn read_mode(mut self, mode: ReadMode) -> Self {
        self.read_mode = mode;
        self
    }

    /// Memory for descriptors of atoms read before, per process and store. Default [`Options::CACHE_BYTES`].
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// How much of what is pinned a thread reads into memory and verifies after the store was opened; 0 for nothing. The
    /// thread is only there if something is pinned and payloads are read through the map, and ends with the store. It
    /// holds nothing: the system may give the memory to others. Default [`Options::HOT_BYTES`].
    #[must_use]
    pub fn hot_bytes(mut self, bytes: u64) -> Self {
        self.hot_bytes = bytes;
        self
    }

    /// Refuses every change through this handle. Default false.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Threads for hashing and verification; 0 takes all cores. They start when first needed and end with the store.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Longest wait for a lock another thread or process holds, before `Busy`. Default [`Options::LOCK_TIMEOUT`].
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::InvalidArgument, what));
        if !(128 << 10..=1 << 40).contains(&self.segment_bytes) {
            return wrong(format!("segments of {} bytes; 128 KiB to 1 TiB are possible", self.segment_bytes));
        }
        if !(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&self.chunk_bytes) || !self.chunk_bytes.is_power_of_two() {
            return wrong(format!(
                "chunks of {} bytes; powers of two from {CHUNK_BYTES_MIN} to {CHUNK_BYTES_MAX} are possible",
                self.chunk_bytes
            ));
        }
        if u64::from(self.chunk_bytes) > self.segment_bytes {
            return wrong("chunks are larger than segments".into());
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: Self::SEGMENT_BYTES,
            chunk_bytes: Self::CHUNK_BYTES,
            durability: Durability::default(),
            read_mode: ReadMode::default(),
            cache_bytes: Self::CACHE_BYTES,
            hot_bytes: Self::HOT_BYTES,
            read_only: false,
            threads: 0,
            lock_timeout: Self::LOCK_TIMEOUT,
        }
    }
}
