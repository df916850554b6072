//! Windows: the memory behind a [`Map`](crate::file::Map). A map of a file and writes to that file need not agree here, and a
//! mapped file cannot be cut: a file that is still appended to is not mapped but read, into memory that stands for a map.

use std::fs;
use std::io;
use std::ops::Range;
use std::os::windows::fs::FileExt;
use std::ptr;

use parking_lot::Mutex;
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_READWRITE, VirtualAlloc, VirtualFree,
};

use super::system;

/// Pages are of this size on every processor Windows runs on.
const PAGE: usize = 4096;

/// Positioned reads that bring a mapped range into memory are of at most this size.
const STEP_BYTES: usize = 256 << 10;

/// Read-only memory that shows the first bytes of a file.
pub(in crate::file) enum Mapping {
    /// A map of a file that nobody writes any more, and the file.
    File(memmap2::MmapRaw, fs::File),
    /// Memory filled from a file that is still appended to.
    Filled(Filled),
}

impl Mapping {
    /// Maps `len` bytes of a file that nobody writes any more.
    pub(in crate::file) fn of_finished(file: &fs::File, len: usize) -> io::Result<Self> {
        let raw = memmap2::MmapOptions::new().len(len).map_raw_read_only(file)?;
        Ok(Mapping::File(raw, file.try_clone()?))
    }

    /// Sets addresses aside for the first `len` bytes of a file that is appended to. Takes memory only for what is read.
    pub(in crate::file) fn of_growing(file: &fs::File, len: usize) -> io::Result<Self> {
        let file = file.try_clone()?;
        // SAFETY: `VirtualAlloc` may be called with any size; a null address lets the system choose.
        let first = unsafe { VirtualAlloc(ptr::null(), len.max(1), MEM_RESERVE, PAGE_READWRITE) };
        if first.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping::Filled(Filled { first: first.cast(), len, file, present: Mutex::new(Vec::new()) }))
    }

    pub(in crate::file) fn len(&self) -> usize {
        match self {
            Mapping::File(raw, _) => raw.len(),
            Mapping::Filled(filled) => filled.len,
        }
    }

    #[inline]
    pub(in crate::file) fn as_ptr(&self) -> *const u8 {
        match self {
            Mapping::File(raw, _) => raw.as_ptr(),
            Mapping::Filled(filled) => filled.first,
        }
    }

    /// Makes sure that a range inside the mapping shows the file's bytes. They must be committed.
    #[inline]
    pub(in crate::file) fn fill(&self, start: usize, len: usize) -> io::Result<()> {
        match self {
            Mapping::File(..) => Ok(()),
            Mapping::Filled(filled) => filled.fill(start..start + len),
        }
    }

    /// Brings a range inside the mapping into memory. See [`Map::populate`](crate::file::Map::populate).
    pub(in crate::file) fn populate(&self, start: usize, len: usize) -> io::Result<()> {
        let Mapping::File(_, file) = self else { return self.fill(start, len) };
        // A read fails where touching the page would end the process, and leaves the page in memory where it does not.
        let mut scratch = vec![0; len.min(STEP_BYTES)];
        let mut done = 0;
        while done < len {
            let step = (len - done).min(scratch.len());
            read_exact(file, &mut scratch[..step], (start + done) as u64)?;
            done += step;
        }
        Ok(())
    }

    /// Bytes of a range inside the mapping whose pages this process has in memory.
    pub(in crate::file) fn resident_bytes(&self, start: usize, len: usize) -> io::Result<u64> {
        let base = self.as_ptr().addr();
        let mut resident = 0;
        let mut at = start / PAGE * PAGE;
        while at < start + len {
            let pages = (start + len - at).div_ceil(PAGE).min(512);
            let addresses: Vec<usize> = (0..pages).map(|page| base + at + page * PAGE).collect();
            for (index, _) in system::in_memory(&addresses)?.into_iter().enumerate().filter(|(_, is_there)| *is_there) {
                let from = (at + index * PAGE).max(start);
                let to = (at + (index + 1) * PAGE).min(start + len);
                resident += (to - from) as u64;
            }
            at += pages * PAGE;
        }
        Ok(resident)
    }
}

/// Addresses for a file's first bytes, of which `present` have memory and hold what the file holds there.
pub(in crate::file) struct Filled {
    first: *mut u8,
    len: usize,
    file: fs::File,
    /// Ranges that were read, in order and apart. Each byte is written once, before the first slice that shows it.
    present: Mutex<Vec<Range<usize>>>,
}

// SAFETY: a `Filled` may go to another thread: its memory belongs to the process, and `VirtualFree` may be called anywhere.
unsafe impl Send for Filled {}
// SAFETY: threads may share a `Filled`: they write under the lock of `present`, and only bytes that no slice shows yet.
unsafe impl Sync for Filled {}

impl Filled {
    fn fill(&self, wanted: Range<usize>) -> io::Result<()> {
        let mut present = self.present.lock();
        for gap in gaps(&present, &wanted) {
            self.read(&gap)?;
            insert(&mut present, gap);
        }
        Ok(())
    }

    /// Reads a range that is not present, under the lock of `present`.
    fn read(&self, range: &Range<usize>) -> io::Result<()> {
        // SAFETY: `add` needs the result inside one allocation: ranges lie inside the `len` addresses set aside.
        let first = unsafe { self.first.add(range.start) };
        // SAFETY: `VirtualAlloc` needs addresses of one reservation of ours: they are. Pages that have memory keep it and
        // what is in it.
        let pages = unsafe { VirtualAlloc(first.cast(), range.len(), MEM_COMMIT, PAGE_READWRITE) };
        if pages.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `from_raw_parts_mut` needs `len` initialised bytes that nobody else touches during the borrow.
        // - They have memory (above), which the system hands out as zeros.
        // - Nobody touches them: slices show present bytes only, and whoever fills holds the lock.
        let target = unsafe { std::slice::from_raw_parts_mut(first, range.len()) };
        read_exact(&self.file, target, range.start as u64)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        // SAFETY: `VirtualFree` needs the first address of a reservation that nobody uses any more: slices keep the mapping.
        unsafe { VirtualFree(self.first.cast(), 0, MEM_RELEASE) };
    }
}

/// The parts of `wanted` that no range of `present` (in order, apart) covers.
fn gaps(present: &[Range<usize>], wanted: &Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = wanted.start;
    for range in &present[present.partition_point(|range| range.end <= wanted.start)..] {
        if range.start >= wanted.end {
            break;
        }
        if at < range.start {
            found.push(at..range.start);
        }
        at = range.end;
    }
    if at < wanted.end {
        found.push(at..wanted.end);
    }
    found
}

/// Adds a range that overlaps none of `present`, joined with its neighbours.
fn insert(present: &mut Vec<Range<usize>>, mut range: Range<usize>) {
    let mut index = present.partition_point(|other| other.start < range.start);
    if present.get(index).is_some_and(|next| next.start == range.end) {
        range.end = present.remove(index).end;
    }
    if index > 0 && present[index - 1].end == range.start {
        index -= 1;
        range.start = present.remove(index).start;
    }
    present.insert(index, range);
}

fn read_exact(file: &fs::File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let count = file.seek_read(buffer, offset)?;
        if count == 0 {
            let what = "the file is shorter than its committed part";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        buffer = &mut buffer[count..];
        offset += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // A byte read twice would change under a slice that shows it; one never read would be a zero that passes for data.
    #[test]
    fn every_byte_is_read_once() {
        let mut present = Vec::new();
        let mut count = [0_u8; 100];
        for step in 0..400_usize {
            let start = step * 37 % 100;
            let wanted = start..(start + step * 13 % 30).min(100);
            for gap in gaps(&present, &wanted) {
                count[gap.clone()].iter_mut().for_each(|n| *n += 1);
                insert(&mut present, gap);
            }
            assert!(count[wanted].iter().all(|&n| n == 1));
        }
        assert_eq!(present, [0..100]);
    }

    // A writer appends behind what a reader has: the reader's bytes stay, and the new ones are those of the file.
    #[test]
    fn a_growing_file_is_read_as_it_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        fs::write(&path, [1; 5000]).unwrap();
        let mapping = Mapping::of_growing(&fs::File::open(&path).unwrap(), 1 << 20).unwrap();
        mapping.fill(100, 4000).unwrap();
        assert_eq!(mapping.fill(4900, 200).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
        writer.seek_write(&[2; 5000], 5000).unwrap();
        writer.set_len(10_000).unwrap(); // which a map would not let happen
        mapping.fill(0, 10_000).unwrap();
        // SAFETY: the first 10,000 bytes were filled above and stay as they are.
        let bytes = unsafe { std::slice::from_raw_parts(mapping.as_ptr(), 10_000) };
        assert!(bytes[..5000].iter().all(|&b| b == 1) && bytes[5000..].iter().all(|&b| b == 2));
        assert!(mapping.resident_bytes(0, 10_000).unwrap() <= 10_000);
    }
}
