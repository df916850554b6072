//! Memory that several processes share through a file: the catalog's coordination page. Never durable.

use std::fmt;
use std::ptr::NonNull;
#[cfg(any(test, feature = "testing"))]
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A region of shared memory, 8-byte aligned, mapped until dropped.
pub struct SharedMemory(Inner);

enum Inner {
    Os(memmap2::MmapRaw),
    #[cfg(any(test, feature = "testing"))]
    Heap(Arc<HeapRegion>),
}

/// Shared memory of simulated processes.
#[cfg(any(test, feature = "testing"))]
pub(super) struct HeapRegion(pub(super) Box<[std::sync::atomic::AtomicU64]>);

impl SharedMemory {
    pub(super) fn from_os(raw: memmap2::MmapRaw) -> Self {
        SharedMemory(Inner::Os(raw))
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn from_heap(region: Arc<HeapRegion>) -> Self {
        SharedMemory(Inner::Heap(region))
    }

    /// Size in bytes; never zero.
    #[allow(clippy::len_without_is_empty)] // a region has at least one page
    pub fn len(&self) -> usize {
        match &self.0 {
            Inner::Os(raw) => raw.len(),
            #[cfg(any(test, feature = "testing"))]
            Inner::Heap(region) => region.0.len() * 8,
        }
    }

    /// Start of the region, valid until this value is dropped. Other processes may write behind it at any time.
    pub fn as_ptr(&self) -> NonNull<u8> {
        let pointer: *mut u8 = match &self.0 {
            Inner::Os(raw) => raw.as_mut_ptr(),
            #[cfg(any(test, feature = "testing"))]
            Inner::Heap(region) => region.0.as_ptr().cast::<u8>().cast_mut(),
        };
        NonNull::new(pointer).unwrap_or(NonNull::dangling())
    }

    /// Sets the first `count` 32-bit words to zero, or all there are. The region must be mapped for writing; others that
    /// look at it meanwhile see each word as it was or as zero.
    pub fn clear_u32(&self, count: usize) {
        for index in 0..count.min(self.len() / 4) {
            // SAFETY: `add` needs the result inside one allocation: `index < len / 4`.
            let word = unsafe { self.as_ptr().as_ptr().cast::<u32>().add(index) };
            // SAFETY: as in `load_u32`, which others race with this; writable by the duty of the caller, who mapped it so.
            let word = unsafe { AtomicU32::from_ptr(word) };
            word.store(0, Ordering::Release);
        }
    }

    /// Loads the 32-bit word number `index`, in native byte order, or 0 past the end.
    #[inline]
    pub fn load_u32(&self, index: usize) -> u32 {
        if index >= self.len() / 4 {
            return 0;
        }
        // SAFETY: `add` needs the result inside one allocation: `index < len / 4`.
        let word = unsafe { self.as_ptr().as_ptr().cast::<u32>().add(index) };
        // SAFETY: `from_ptr` needs a valid, aligned pointer that is only accessed atomically or not raced.
        // - Valid and 4-byte aligned: inside a page-aligned (or u64-backed) region that `self` keeps alive.
        // - Writers are other processes or SQLite's C code, which write these words with plain or atomic 4-byte
        //   stores; a torn value cannot arise from aligned 4-byte stores, and callers treat any value as a hint only.
        let word = unsafe { AtomicU32::from_ptr(word) };
        word.load(Ordering::Acquire)
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedMemory({} bytes)", self.len())
    }
}
