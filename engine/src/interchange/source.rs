//! A file being imported: read by positioned reads, its length taken once and held against every claim.

use std::path::Path;
use std::sync::Arc;

use crate::bytes::AlignedBuffer;
use crate::error::{Error, Result, ResultExt};
use crate::file::{File, open_source, read_exact_at};

/// Payloads up to this size are read whole, so that one that is in the store already is not written again.
pub(super) const WHOLE_BYTES_MAX: u64 = 32 << 20;
/// Bytes read at a time from longer ones.
pub(super) const BLOCK_BYTES: usize = 8 << 20;

pub(super) struct Source {
    file: Arc<dyn File>,
    pub(super) len: u64,
    /// Name without directory.
    pub(super) name: String,
    /// Name without directory and extension.
    pub(super) stem: String,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::of(open_source(path).doing("opening the file")?, path)
    }

    /// A file that is open already, under the name it goes by.
    pub(super) fn of(file: Arc<dyn File>, path: &Path) -> Result<Self> {
        let len = file.len().doing("asking for the file's length")?;
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        Ok(Source { file, len, name: text(path.file_name()), stem: text(path.file_stem()) })
    }

    /// Fills a buffer. A file that became shorter meanwhile is an error.
    pub(super) fn read_exact(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        read_exact_at(&*self.file, buffer, offset).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => super::bad_file("the file became shorter while it was read"),
            _ => Error::io("reading the file", e).offset(offset),
        })
    }

    /// Reads a range whole.
    pub(super) fn read(&self, offset: u64, len: u64) -> Result<AlignedBuffer> {
        let len = usize::try_from(len).map_err(|_| super::bad_file("larger than the address space"))?;
        let mut buffer = AlignedBuffer::zeroed(len)?;
        self.read_exact(buffer.as_mut_slice(), offset)?;
        Ok(buffer)
    }
}
