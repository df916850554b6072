//! Where the bytes of a matrix come from: a stored payload, mapped or read by positioned reads, or memory.

use std::ops::Range;

use crate::bytes::Bytes;
use crate::error::{Error, ErrorKind, Result};

/// Bytes that are read in ranges, verified.
pub(crate) trait ByteSource: Sync {
    /// Length in bytes.
    fn len_bytes(&self) -> u64;

    /// A range of bytes, inside the length.
    fn range(&self, range: Range<u64>) -> Result<Bytes>;

    /// True when a range costs no copy, however small it is.
    fn is_direct(&self) -> bool;
}

impl ByteSource for Bytes {
    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn range(&self, range: Range<u64>) -> Result<Bytes> {
        let bound =
            |n: u64| usize::try_from(n).map_err(|_| Error::new(ErrorKind::InvalidArgument, "a range too large"));
        self.slice(bound(range.start)?..bound(range.end)?)
    }

    fn is_direct(&self) -> bool {
        true
    }
}
