//! Bytes handed to callers: a slice of a map, or an owned buffer; immutable, 64-byte aligned, alive as long as held.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::error::{Error, ErrorKind, Result};
use crate::file::MapSlice;

/// Verified payload bytes. Cheap to clone; independent of the store's life.
///
/// In mapped mode the bytes lie in the page cache and are not copied. They were verified when handed out; what remains
/// is a file damaged *afterwards*: cutting the file under a mapped slice kills the process with a signal when the slice
/// is touched, and overwriting it shows through. Where that is not acceptable, read in positioned mode.
#[derive(Clone)]
pub struct Bytes(Inner);

#[derive(Clone)]
enum Inner {
    Mapped(MapSlice),
    Owned { buffer: Arc<AlignedBuffer>, start: usize, len: usize },
}

impl Bytes {
    pub(crate) fn mapped(slice: MapSlice) -> Self {
        Bytes(Inner::Mapped(slice))
    }

    pub(crate) fn owned(buffer: AlignedBuffer) -> Self {
        let len = buffer.len;
        Bytes(Inner::Owned { buffer: Arc::new(buffer), start: 0, len })
    }

    /// True when the bytes lie in a memory map of the segment file.
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Inner::Mapped(_))
    }

    /// A part that shares the memory. Fails with `InvalidArgument` outside the bounds.
    pub fn slice(&self, range: Range<usize>) -> Result<Bytes> {
        let len = range.end.checked_sub(range.start).filter(|_| range.end <= self.len());
        let part = len.and_then(|len| match &self.0 {
            Inner::Mapped(slice) => slice.part(range.start, len).map(Inner::Mapped),
            Inner::Owned { buffer, start, .. } => {
                Some(Inner::Owned { buffer: Arc::clone(buffer), start: start + range.start, len })
            }
        });
        part.map(Bytes).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("bytes {range:?} of a slice of {}", self.len()))
        })
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Mapped(slice) => slice,
            Inner::Owned { buffer, start, len } => &buffer.as_slice()[*start..*start + *len],
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_mapped() { "mapped" } else { "owned" };
        write!(f, "Bytes({kind}, {} bytes)", self.len())
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Block([u8; 64]);

/// A zeroed buffer that starts at a multiple of 64 bytes.
pub(crate) struct AlignedBuffer {
    blocks: Vec<Block>,
    len: usize,
}

impl AlignedBuffer {
    /// Fails with `OutOfMemory` where the system has not that much.
    pub(crate) fn zeroed(len: usize) -> Result<Self> {
        let count = len.div_ceil(64);
        // From the system as zeros where it is large: no pass over it before it is filled.
        let blocks = Block::new_vec_zeroed(count)
            .map_err(|_| Error::new(ErrorKind::OutOfMemory, format!("a buffer of {len} bytes")))?;
        Ok(AlignedBuffer { blocks, len })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.blocks.as_bytes()[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.blocks.as_mut_bytes()[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_bytes_are_aligned_and_sliceable() {
        let mut buffer = AlignedBuffer::zeroed(100).unwrap();
        buffer.as_mut_slice().copy_from_slice(&(0..100).collect::<Vec<u8>>());
        let bytes = Bytes::owned(buffer);
        assert_eq!(bytes.as_ptr() as usize % 64, 0);
        let part = bytes.slice(10..20).unwrap().slice(5..10).unwrap();
        assert_eq!(&part[..], [15, 16, 17, 18, 19]);
        assert!(bytes.slice(90..101).is_err());
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = bytes.slice(5..4);
        assert!(reversed.is_err());
        assert!(Bytes::owned(AlignedBuffer::zeroed(0).unwrap()).is_empty());
    }

    #[test]
    fn absurd_sizes_are_errors() {
        assert_eq!(AlignedBuffer::zeroed(usize::MAX - 64).err().unwrap().kind(), ErrorKind::OutOfMemory);
    }
}
