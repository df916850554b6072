//! Atoms as callers see them: a descriptor, and a handle on the payload that reads it verified.

use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::bytes::{AlignedBuffer, Bytes};
use crate::catalog::{CopyRow, VersionRow};
use crate::control::Control;
use crate::digest::Digest;
use crate::dtype::{DType, Encoding, row_bytes};
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::file::MapSlice;
use crate::format::{Codec, Tier};
use crate::key::Key;
use crate::segment::{BaseAccess, PayloadCopy, SegmentReader};
use crate::tensor::TensorView;

use super::options::ReadMode;
use super::segments::Segments;
use super::usage::UseCount;

/// Bytes copied between two looks at whether they are still wanted: whole chunks of any usual size.
const COPY_BYTES: usize = 4 << 20;

/// Descriptor of one version of an atom.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AtomInfo {
    /// Key inside the namespace.
    pub key: Key,
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<u64>,
    /// How elements are to be understood.
    pub encoding: Encoding,
    /// Length of the payload.
    pub bytes: u64,
    /// BLAKE3-256 of the payload.
    pub digest: Digest,
    /// One JSON object, as it was given.
    pub metadata: Option<String>,
    /// Commit that made this version.
    pub lsn: u64,
    /// Commit that replaced or deleted it; none for the current version.
    pub lsn_to: Option<u64>,
    /// Time of that commit, microseconds since the Unix epoch.
    pub created_us: u64,
    /// Where the payload lies: warm, cold, or hot, which is warm and pinned; none when the catalog knows no copy of it.
    pub tier: Option<Tier>,
}

impl AtomInfo {
    pub(crate) fn new(row: VersionRow, tier: Option<Tier>) -> Self {
        AtomInfo {
            key: row.key,
            dtype: row.dtype,
            shape: row.shape,
            encoding: row.encoding,
            bytes: row.raw_bytes,
            digest: row.digest,
            metadata: row.metadata,
            lsn: row.lsn_from,
            lsn_to: row.lsn_to,
            created_us: row.created_us,
            tier,
        }
    }

    /// Dimensions as text: `[30522, 384]`.
    pub fn shape_text(&self) -> String {
        format!("{:?}", self.shape)
    }
}

/// A version with the way to its payload.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) info: AtomInfo,
    place: Option<CopyRow>,
    copy: OnceLock<Arc<PayloadCopy>>,
    /// Keeps the segment from being deleted before the first touch as well. None where it could not be opened: the
    /// first touch says why.
    _lease: Option<Arc<SegmentReader>>,
    /// A read failed: the catalog may know a newer copy by now, or the cold disk be back, so the cache asks again.
    damaged: AtomicBool,
    segments: Arc<Segments>,
}

/// A version as one part of the cache and the handles made from it share it. What they count, they count here: threads
/// that read through different parts of the cache never write to the same cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Atom {
    version: Arc<Version>,
    /// The whole payload in the map, from when all of it is verified: what every later read is a part of.
    whole: OnceLock<MapSlice>,
    uses: Arc<UseCount>,
}

impl Deref for Atom {
    type Target = Version;

    #[inline]
    fn deref(&self) -> &Version {
        &self.version
    }
}

impl Atom {
    /// A version whose payload lies at `place`, with the tier that callers see.
    pub(crate) fn new(row: VersionRow, place: Option<CopyRow>, tier: Option<Tier>, segments: Arc<Segments>) -> Self {
        let uses = UseCount::new(row.payload, row.digest);
        let lease = |place: &CopyRow| segments.reader(place.site, place.key()).ok();
        let is_delta = |place: &&CopyRow| place.codec == Codec::Delta;
        // The base's segment has to be kept as well, and where it lies only the catalog knows.
        let open = |place: &CopyRow| segments.open_copy(place, &row.digest, row.raw_bytes).ok();
        let copy = place.as_ref().filter(is_delta).and_then(open).map_or_else(OnceLock::new, OnceLock::from);
        let version = Version {
            info: AtomInfo::new(row, tier),
            _lease: place.as_ref().and_then(lease),
            place,
            copy,
            damaged: AtomicBool::new(false),
            segments,
        };
        Atom { version: Arc::new(version), whole: OnceLock::new(), uses }
    }

    /// The same version, with counters of its own.
    pub(crate) fn counted_apart(&self) -> Self {
        Atom { version: Arc::clone(&self.version), whole: OnceLock::new(), uses: self.uses.apart() }
    }

    /// Counts a read.
    #[inline]
    fn note_use(&self) {
        self.uses.note(self.segments.usage(), || self.segments.now_us());
    }

    /// Verified bytes in the map: after the first touch of everything, two loads and a count. `None` for a payload that has
    /// to be decoded.
    #[inline]
    fn slice(&self, range: Range<u64>) -> Result<Option<MapSlice>> {
        let part = |whole: &MapSlice| {
            let start = usize::try_from(range.start).ok()?;
            whole.part(start, usize::try_from(range.end.checked_sub(range.start)?).ok()?)
        };
        match self.whole.get().and_then(part) {
            Some(slice) => Ok(Some(slice)),
            None => self.first_slice(range),
        }
    }

    #[cold]
    fn first_slice(&self, range: Range<u64>) -> Result<Option<MapSlice>> {
        let copy = self.copy()?;
        if copy.is_buffered() {
            return Ok(None);
        }
        let slice = copy.slice(range, || self.segments.helpers())?;
        if let Some(whole) = copy.whole()? {
            let _ = self.whole.set(whole);
        }
        Ok(Some(slice))
    }
}

impl Version {
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// True when the payload is read into a buffer. The copy opened counts, not the one first looked up.
    fn is_buffered(&self) -> bool {
        if let Some(copy) = self.copy.get() {
            return copy.is_buffered();
        }
        self.place.as_ref().is_some_and(|place| place.codec != Codec::Raw || place.site == Tier::Cold)
    }

    /// Adds the key to an error of a read, and remembers damage, and that the disk was away.
    fn explain(&self, error: Error) -> Error {
        if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::ColdUnavailable) {
            self.damaged.store(true, Ordering::Relaxed);
        }
        self.segments.sites().explain(error).key(&self.info.key)
    }

    /// Bytes of memory that grow with what the atom is: text, shape, scales, checksums of chunks.
    pub(crate) fn weight_bytes(&self) -> u64 {
        let info = &self.info;
        let key = match &info.key {
            Key::Int(_) => 0,
            Key::Name(name) => 2 * name.len() as u64,
        };
        let encoding = match &info.encoding {
            Encoding::Plain => 0,
            Encoding::Blocks { layout, .. } => layout.len() as u64,
            Encoding::Quantized { scale, zero_point, .. } => 4 * (scale.len() as u64 + zero_point.len() as u64),
        };
        let metadata = info.metadata.as_ref().map_or(0, |text| text.len() as u64);
        // Once opened, a copy keeps its encoding as well, and eight bytes and a bit for each chunk.
        key + info.shape.len() as u64 * 16 + 2 * encoding + metadata + self.segments.chunk_table_bytes(info.bytes)
    }

    /// The opened copy; opened anew when its disk was away and may be back.
    #[inline]
    fn copy(&self) -> Result<Arc<PayloadCopy>> {
        match self.copy.get() {
            Some(copy) if !copy.has_failed() => Ok(Arc::clone(copy)),
            _ => self.open_copy(),
        }
    }

    #[cold]
    fn open_copy(&self) -> Result<Arc<PayloadCopy>> {
        let place =
            self.place.as_ref().ok_or_else(|| self.explain(Error::corrupt("no copy of the payload is left")))?;
        let copy = self.segments.open_copy(place, &self.info.digest, self.info.bytes);
        let copy = copy.map_err(|e| self.explain(e))?;
        Ok(match self.copy.get() {
            // Another thread may have been faster.
            Some(known) if !known.has_failed() => Arc::clone(known),
            Some(_) => copy,
            None => Arc::clone(self.copy.get_or_init(|| copy)),
        })
    }
}

/// A handle on one version's payload. Cheap to clone; stays valid after the key is deleted and the store closed.
///
/// Making one reads nothing. The first touch of a chunk reads and verifies it; damage is a `Corrupt` error that names
/// the key, segment and offset.
#[derive(Clone, Debug)]
pub struct Payload {
    source: Source,
    mode: ReadMode,
}

#[derive(Clone, Debug)]
enum Source {
    Stored(Arc<Atom>),
    /// Put in a transaction that has not committed yet.
    Staged {
        info: Arc<AtomInfo>,
        bytes: Bytes,
    },
}

impl Payload {
    pub(crate) fn stored(atom: Arc<Atom>, mode: ReadMode) -> Self {
        Payload { source: Source::Stored(atom), mode }
    }

    pub(crate) fn staged(info: AtomInfo, bytes: Bytes) -> Self {
        Payload { source: Source::Staged { info: Arc::new(info), bytes }, mode: ReadMode::Positioned }
    }

    /// The descriptor.
    pub fn info(&self) -> &AtomInfo {
        match &self.source {
            Source::Stored(atom) => &atom.info,
            Source::Staged { info, .. } => info,
        }
    }

    /// True when ranges are slices of a map.
    pub(crate) fn is_mapped(&self) -> bool {
        let is_buffered = matches!(&self.source, Source::Stored(atom) if atom.is_buffered());
        self.mode == ReadMode::Mapped && !is_buffered
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.info().bytes
    }

    /// True for a payload of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole payload. In mapped mode a slice of the map, verified at its first touch in this process; in positioned
    /// mode a copy, verified now. Of a cold copy, in either mode, a buffer that was verified when it was decoded, and that
    /// all who read the payload share as long as the process's cache holds it
    /// (see [`set_decode_cache_bytes`](crate::set_decode_cache_bytes)).
    #[inline]
    pub fn bytes(&self) -> Result<Bytes> {
        self.range(0..self.len())
    }

    /// A byte range. Only the chunks it touches are read and verified. Fails with `InvalidArgument` outside the payload.
    #[inline]
    pub fn range(&self, range: Range<u64>) -> Result<Bytes> {
        self.read_range(range, &Control::new())
    }

    /// As [`Payload::range`]; what has to be copied or decoded may be ended.
    #[inline]
    pub(super) fn read_range(&self, range: Range<u64>, control: &Control<'_>) -> Result<Bytes> {
        match &self.source {
            Source::Stored(atom) => {
                atom.segments.fork().check()?;
                atom.note_use();
                match self.mode {
                    ReadMode::Mapped => match atom.slice(range.clone()).map_err(|e| self.explain(e, "get"))? {
                        Some(slice) => Ok(Bytes::mapped(slice)),
                        None => self.decoded(atom, range, control),
                    },
                    ReadMode::Positioned if atom.is_buffered() => self.decoded(atom, range, control),
                    ReadMode::Positioned => self.copy_range(atom, range, control),
                }
            }
            Source::Staged { bytes, .. } => {
                let bound = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
                bytes.slice(bound(range.start)..bound(range.end))
            }
        }
    }

    /// True when reading the payload is a matter of nanoseconds, because this process verified all of it through the map
    /// before. A payload of a cold copy, or in positioned mode, never is.
    #[inline]
    pub fn is_ready(&self) -> bool {
        match &self.source {
            Source::Stored(atom) => self.mode == ReadMode::Mapped && atom.whole.get().is_some(),
            Source::Staged { .. } => true,
        }
    }

    /// Verifies a range through the map and counts no read.
    pub(super) fn touch(&self, range: Range<u64>) -> Result<()> {
        match &self.source {
            Source::Stored(atom) => {
                atom.segments.fork().check()?;
                atom.slice(range).map(drop).map_err(|e| self.explain(e, "get"))
            }
            Source::Staged { .. } => Ok(()),
        }
    }

    fn explain(&self, error: Error, operation: &'static str) -> Error {
        match &self.source {
            Source::Stored(atom) => atom.explain(error.during(operation)),
            Source::Staged { info, .. } => error.during(operation).key(&info.key),
        }
    }

    /// Bytes of a cold copy, from the process's cache where they are in it.
    fn decoded(&self, atom: &Atom, range: Range<u64>, control: &Control<'_>) -> Result<Bytes> {
        let access = if self.mode == ReadMode::Mapped { BaseAccess::Map } else { BaseAccess::Calls };
        let decoded = atom.copy()?.decoded(range, access, control, || atom.segments.helpers());
        decoded.map_err(|e| self.explain(e, "get"))
    }

    fn copy_range(&self, atom: &Atom, range: Range<u64>, control: &Control<'_>) -> Result<Bytes> {
        let len = range.end.checked_sub(range.start).filter(|_| range.end <= self.len());
        let len = len.and_then(|len| usize::try_from(len).ok()).ok_or_else(|| {
            let what = format!("bytes {}..{} of {}", range.start, range.end, self.len());
            self.explain(Error::new(ErrorKind::InvalidArgument, what), "get")
        })?;
        let mut buffer = AlignedBuffer::zeroed(len)?;
        let copy = atom.copy()?;
        let mut at = range.start;
        for block in buffer.as_mut_slice().chunks_mut(COPY_BYTES) {
            control.check()?;
            copy.read_into(at, block).map_err(|e| self.explain(e, "get"))?;
            at += block.len() as u64;
        }
        Ok(Bytes::owned(buffer))
    }

    /// Copies bytes from `offset` on into `target`, which they must fill. Always by positioned reads, in either mode, or
    /// of a cold copy from decoded bytes that the process keeps.
    pub fn read_into(&self, offset: u64, target: &mut [u8]) -> Result<()> {
        match &self.source {
            Source::Stored(atom) => {
                atom.segments.fork().check()?;
                atom.note_use();
                atom.copy()?.read_through(offset, target).map_err(|e| self.explain(e, "get"))
            }
            Source::Staged { .. } => {
                let end = offset.saturating_add(target.len() as u64);
                target.copy_from_slice(&self.range(offset..end)?);
                Ok(())
            }
        }
    }

    /// Rows `rows` of the first dimension, as bytes. Fails with `InvalidShape` for a scalar, `InvalidArgument` outside.
    pub fn rows(&self, rows: Range<u64>) -> Result<Bytes> {
        self.range(self.row_range(rows)?)
    }

    /// The byte range of rows of the first dimension. Fails as [`Payload::rows`] does; reads nothing.
    pub fn row_range(&self, rows: Range<u64>) -> Result<Range<u64>> {
        let info = self.info();
        let stride = row_bytes(info.dtype, &info.shape, &info.encoding).map_err(|e| self.explain(e, "get rows of"))?;
        let count = info.shape.first().copied().unwrap_or(0);
        if rows.start > rows.end || rows.end > count {
            let what = format!("rows {}..{} of {count}", rows.start, rows.end);
            return Err(self.explain(Error::new(ErrorKind::InvalidArgument, what), "get rows of"));
        }
        // No overflow: both products are at most the payload's length.
        Ok(rows.start * stride..rows.end * stride)
    }

    /// The payload as numbers, without a copy. Fails with `Unsupported` when the atom holds another type.
    pub fn view<T: Element>(&self) -> Result<TensorView<T>> {
        let info = self.info();
        TensorView::new(info.dtype, info.shape.clone(), self.bytes()?).map_err(|e| self.explain(e, "get"))
    }

    /// Rows as numbers, without a copy.
    pub fn view_rows<T: Element>(&self, rows: Range<u64>) -> Result<TensorView<T>> {
        let info = self.info();
        let mut shape = info.shape.clone();
        let bytes = self.rows(rows.clone())?;
        if let Some(first) = shape.first_mut() {
            *first = rows.end - rows.start;
        }
        TensorView::new(info.dtype, shape, bytes).map_err(|e| self.explain(e, "get rows of"))
    }
}
