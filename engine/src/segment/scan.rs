//! Walks the records of a segment from header to header, as a rebuild or a takeover does when no index can be trusted.

use crate::error::{Error, ErrorKind, Result};
use crate::file::File;
use crate::format::{ALIGN_SMALL, RECORD_MAGIC, RecordKind};

use super::reader::SegmentReader;
use super::record::Record;

/// Bytes looked at in one read while searching for the next record behind damage.
const WINDOW_BYTES: usize = 1 << 20;

/// One record found.
#[derive(Clone, Debug)]
pub(crate) struct Scanned {
    pub(crate) record: Record,
    /// True when bytes in front of it had to be skipped because they made no sense.
    pub(crate) after_damage: bool,
}

/// Why a walk ended.
#[derive(Debug)]
pub(crate) enum ScanStop {
    /// Nothing but zeros, or the end of the file.
    End,
    /// Something that is not a record.
    Damage(Error),
}

/// A walk over the records in `from..limit`.
pub(crate) struct Scan<'a> {
    reader: &'a SegmentReader,
    offset: u64,
    limit: u64,
    /// Search on behind damage instead of stopping.
    resync: bool,
    stop: Option<ScanStop>,
}

impl<'a> Scan<'a> {
    /// A walk that ends at the first thing that is no record.
    pub(crate) fn strict(reader: &'a SegmentReader, from: u64, limit: u64) -> Self {
        Scan { reader, offset: from, limit, resync: false, stop: None }
    }

    /// A walk that searches on behind damage.
    ///
    /// A record is believed only with the right checksum, store salt, segment and offset; bytes of a payload can look
    /// like that only to somebody who read this segment's salt and knew the offset beforehand.
    pub(crate) fn resync(reader: &'a SegmentReader, from: u64, limit: u64) -> Self {
        Scan { resync: true, ..Self::strict(reader, from, limit) }
    }

    /// Why the walk ended.
    pub(crate) fn stop(self) -> ScanStop {
        self.stop.unwrap_or(ScanStop::End)
    }

    /// The next record, or `None` at the end. Fails only when the device does.
    pub(crate) fn next(&mut self) -> Result<Option<Scanned>> {
        if self.offset >= self.limit {
            return Ok(None);
        }
        match self.parse(self.offset) {
            Ok(record) => Ok(Some(self.accept(record, false))),
            // What the device refuses is no damage, after which a tail might be cut.
            Err(error) if error.kind() == ErrorKind::Io => Err(error),
            Err(error) => {
                let blank = is_blank(self.reader.file(), self.offset, self.limit).map_err(|e| self.io(e))?;
                // A zeroed page looks like free space, so a rebuild searches on behind it as well.
                let found = if self.resync { self.search()? } else { None };
                if found.is_none() && !blank {
                    self.stop = Some(ScanStop::Damage(error));
                }
                Ok(found)
            }
        }
    }

    fn accept(&mut self, record: Record, after_damage: bool) -> Scanned {
        self.offset = record.end();
        Scanned { record, after_damage }
    }

    fn io(&self, e: std::io::Error) -> Error {
        Error::io("scanning the segment", e).segment(self.reader.id())
    }

    fn parse(&self, offset: u64) -> Result<Record> {
        let (record, _table) = super::copy::read_record(self.reader, offset)?;
        if record.end() > self.limit {
            return Err(Error::corrupt("the record reaches past the limit").segment(self.reader.id()).offset(offset));
        }
        Ok(record)
    }

    fn search(&mut self) -> Result<Option<Scanned>> {
        let mut window = vec![0; WINDOW_BYTES];
        let mut at = self.offset + ALIGN_SMALL;
        while at < self.limit {
            let got = self.reader.file().read_at(&mut window, at).map_err(|e| self.io(e))?;
            if got < RECORD_MAGIC.len() {
                break;
            }
            let steps = (0..got).step_by(ALIGN_SMALL as usize);
            for step in steps {
                if !window[step..got].starts_with(&RECORD_MAGIC) {
                    continue;
                }
                if let Ok(record) = self.parse(at + step as u64) {
                    return Ok(Some(self.accept(record, true)));
                }
            }
            at += got.next_multiple_of(ALIGN_SMALL as usize) as u64;
        }
        self.offset = self.limit;
        Ok(None)
    }
}

/// True when the first bytes at `offset` are zero: preallocated space nobody wrote.
fn is_blank(file: &dyn File, offset: u64, limit: u64) -> std::io::Result<bool> {
    let len = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX).min(ALIGN_SMALL as usize);
    let mut first = vec![0; len];
    let got = file.read_at(&mut first, offset)?;
    Ok(first[..got].iter().all(|&b| b == 0))
}

impl Scanned {
    /// True for the record of a commit.
    pub(crate) fn is_commit(&self) -> bool {
        self.record.description.kind == RecordKind::Commit
    }
}
