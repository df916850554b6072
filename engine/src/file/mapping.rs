//! Linux: the memory behind a [`Map`](super::Map).

use std::io;

/// A read-only mapping of a file.
pub(super) struct Mapping(memmap2::MmapRaw);

impl Mapping {
    pub(super) fn new(raw: memmap2::MmapRaw) -> Self {
        Mapping(raw)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// Makes sure that a range inside the mapping shows the file's bytes: it always does.
    #[inline]
    pub(super) fn fill(&self, _start: usize, _len: usize) -> io::Result<()> {
        Ok(())
    }

    /// Brings a range inside the mapping into memory. See [`Map::populate`](super::Map::populate).
    pub(super) fn populate(&self, start: usize, len: usize) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        match self.0.advise_range(memmap2::Advice::PopulateRead, start, len) {
            Err(e) if e.raw_os_error() == Some(libc::EFAULT) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file is shorter than its committed part, or its device failed",
            )),
            other => other,
        }
    }

    /// Bytes of a range inside the mapping whose pages are in memory.
    pub(super) fn resident_bytes(&self, start: usize, len: usize) -> io::Result<u64> {
        let page = rustix::param::page_size();
        let mut resident = 0;
        let mut pages = [0_u8; 4096];
        let mut at = start / page * page;
        while at < start + len {
            let span = (start + len - at).min(pages.len() * page);
            // SAFETY: `add` needs the result inside one allocation.
            // - `at < start + len <= self.len()`: the caller's duty, checked by `Map::bounds`; a map never shrinks.
            let first = unsafe { self.0.as_ptr().add(at) };
            // SAFETY: `mincore` needs a page-aligned address, and room for one byte per page of the length.
            // - Aligned: maps start at a page, and `at` is a multiple of the page size.
            // - Room: `span` is at most as many pages as `pages` has bytes.
            // - It reads no byte of the range, so it may lie past the end of the file.
            let outcome = unsafe { libc::mincore(first.cast_mut().cast(), span, pages.as_mut_ptr()) };
            if outcome != 0 {
                return Err(io::Error::last_os_error());
            }
            for (index, _) in pages[..span.div_ceil(page)].iter().enumerate().filter(|(_, state)| **state & 1 != 0) {
                let from = (at + index * page).max(start);
                let to = (at + (index + 1) * page).min(start + len);
                resident += (to - from) as u64;
            }
            at += span;
        }
        Ok(resident)
    }
}
