//! One copy of a payload, read with every chunk verified: through the map once per chunk and process, or by positioned
//! reads each time.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::bytes::{AlignedBuffer, Bytes};
use crate::codec;
use crate::control::Control;
use crate::digest::{Digest, DigestBuilder, Leaf};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{Map, MapSlice, read_exact_at};
use crate::format::Codec;
use crate::memory::{resize, zeroed};

use super::decoded::{self, Piece};
use super::reader::SegmentReader;
use super::record::{ChunkEntry, Record, table_bytes};
use super::speed;

/// First read of a record: enough for the header, and for all of a small record.
const FIRST_READ_BYTES: usize = 4096;
/// Bytes brought into memory by one call before they are verified; fits a second-level cache.
const POPULATE_BYTES: u64 = 1 << 20;
/// Unverified bytes from which several threads share the work: below, waking them takes what they save.
const PARALLEL_BYTES: u64 = 8 << 20;
/// Coded bytes from which several threads share the decoding.
const PARALLEL_DECODE_BYTES: usize = 2 << 20;
/// Whole chunks of a range that are worth keeping decoded; a longer range is a scan, which would push out all else.
const CHUNKS_KEPT: u64 = 8;

/// A payload in a segment, its header and chunk table already checked.
#[derive(Debug)]
pub(crate) struct PayloadCopy {
    reader: Arc<SegmentReader>,
    record: Record,
    table: Box<[ChunkEntry]>,
    /// Where the chunks of a coded payload start, from its first stored byte on; empty for a raw one.
    starts: Box<[u64]>,
    verified: Verified,
    /// The payload this one is coded against. None for a copy without one, and until [`PayloadCopy::on_base`].
    base: Option<Arc<PayloadCopy>>,
}

/// How the raw bytes of a base are touched when a payload coded against it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BaseAccess {
    /// As a slice of its map, verified once per process.
    Map,
    /// By positioned reads, verified each time.
    Calls,
}

/// Which chunks this process has verified through the map.
#[derive(Debug)]
struct Verified {
    words: Box<[AtomicU64]>,
    /// Chunks still to verify; 0 makes every later check one load.
    remaining: AtomicUsize,
}

impl Verified {
    fn new(chunks: usize) -> Self {
        let words = (0..chunks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Verified { words, remaining: AtomicUsize::new(chunks) }
    }

    fn is_set(&self, chunk: usize) -> bool {
        self.words[chunk / 64].load(Ordering::Relaxed) & (1 << (chunk % 64)) != 0
    }

    fn set(&self, chunk: usize) {
        let bit = 1 << (chunk % 64);
        if self.words[chunk / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            // Release: whoever sees 0 below sees the verification of every chunk as done.
            self.remaining.fetch_sub(1, Ordering::Release);
        }
    }

    fn all(&self) -> bool {
        self.remaining.load(Ordering::Acquire) == 0
    }
}

impl PayloadCopy {
    fn new(reader: Arc<SegmentReader>, record: Record, table: Box<[ChunkEntry]>) -> Self {
        let is_coded = record.codec != Codec::Raw;
        let verified = Verified::new(if is_coded { 0 } else { table.len() });
        let mut next = 0_u64;
        let start = |entry: &ChunkEntry| {
            let start = next;
            next = next.saturating_add(u64::from(entry.stored_bytes));
            start
        };
        let starts = if is_coded { table.iter().map(start).collect() } else { Box::default() };
        PayloadCopy { reader, record, table, starts, verified, base: None }
    }

    /// Reads header and chunk table of the record at `offset` and compares them with what the catalog expects.
    pub(crate) fn open(reader: Arc<SegmentReader>, offset: u64, digest: &Digest, raw_bytes: u64) -> Result<Self> {
        let (record, table) = read_record(&reader, offset)?;
        if record.digest != *digest || record.raw_bytes != raw_bytes {
            return Err(Error::corrupt("the record holds another payload than the catalog says")
                .segment(reader.id())
                .offset(offset));
        }
        Ok(PayloadCopy::new(reader, record, table))
    }

    /// The same copy, with the payload it is coded against. Without it, only checksums can be compared.
    pub(crate) fn on_base(self, base: Arc<PayloadCopy>) -> Result<Self> {
        // One step and no more: reading a chunk takes two decodings at most, and nothing can go round in circles.
        let fits = self.record.base == Some(base.record.digest)
            && base.record.raw_bytes == self.record.raw_bytes
            && base.record.base.is_none();
        if !fits {
            return Err(self.damage("the payload it is coded against is another", self.record.offset));
        }
        Ok(PayloadCopy { base: Some(base), ..self })
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Segment and offset of the record.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.reader.id(), self.record.offset)
    }

    /// What this copy is coded against.
    pub(crate) fn base(&self) -> Option<&Arc<PayloadCopy>> {
        self.base.as_ref()
    }

    /// True when the payload is read into a buffer and is never a slice of the map: it has to be decoded, or its disk may
    /// be taken away.
    pub(crate) fn is_buffered(&self) -> bool {
        self.is_coded() || self.reader.is_cold()
    }

    /// True when its segment, or that of its base, has to be opened anew: its disk failed, or was taken away.
    pub(crate) fn has_failed(&self) -> bool {
        self.reader.has_failed() || self.base.as_ref().is_some_and(|base| base.reader.has_failed())
    }

    fn is_coded(&self) -> bool {
        self.record.codec != Codec::Raw
    }

    /// The bytes of a range of the payload in the map, after verifying the chunks it touches. `helpers` is asked for
    /// threads when there is much to verify; the calling one waits for them.
    pub(crate) fn slice<'p>(
        &self,
        range: Range<u64>,
        helpers: impl FnOnce() -> Option<&'p rayon::ThreadPool>,
    ) -> Result<MapSlice> {
        let (start, len) = self.check_range(&range)?;
        if self.is_buffered() {
            return Err(Error::internal("a payload that is read into a buffer is no slice of the map"));
        }
        let map = self.reader.map(self.record.table_offset)?;
        self.verify_mapped(&map, &range, helpers)?;
        let offset = self.record.data_offset + start as u64;
        map.slice(offset, len).map_err(|e| self.reader.read_error(e, offset))
    }

    /// Bytes of the payload's pages that are in memory now, whoever brought them there. Touches none of them. 0 for one
    /// that is read into a buffer.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let len = usize::try_from(self.record.raw_bytes).map_err(|_| Error::internal("payload length"))?;
        if self.is_buffered() || len == 0 {
            return Ok(0);
        }
        let offset = self.record.data_offset;
        let map = self.reader.map(self.record.table_offset)?;
        map.resident_bytes(offset, len).map_err(|e| self.reader.read_error(e, offset))
    }

    /// The whole payload in the map once every chunk was verified, in a slice whose clones count in a place of their own.
    pub(crate) fn whole(&self) -> Result<Option<MapSlice>> {
        if !self.verified.all() || self.is_buffered() {
            return Ok(None);
        }
        let len = usize::try_from(self.record.raw_bytes).map_err(|_| Error::internal("payload length"))?;
        let map = self.reader.map(self.record.table_offset)?.counted_apart();
        Ok(map.slice(self.record.data_offset, len).ok())
    }

    /// Copies a range of the payload into `target`, verifying every chunk it touches, by positioned reads only.
    pub(crate) fn read_into(&self, start: u64, target: &mut [u8]) -> Result<()> {
        self.check_range(&(start..start.saturating_add(target.len() as u64)))?;
        let chunk_bytes = u64::from(self.record.chunk_bytes);
        let mut scratch = Vec::new();
        let mut filled = 0;
        while filled < target.len() {
            let at = start + filled as u64;
            let chunk = at / chunk_bytes;
            let in_chunk = (at % chunk_bytes) as usize;
            let chunk_len = self.record.raw_chunk_bytes(chunk) as usize;
            let take = (chunk_len - in_chunk).min(target.len() - filled);
            let part = &mut target[filled..filled + take];
            if take == chunk_len {
                self.read_chunk(chunk, part, BaseAccess::Calls)?;
            } else {
                resize(&mut scratch, chunk_len)?;
                self.read_chunk(chunk, &mut scratch, BaseAccess::Calls)?;
                part.copy_from_slice(&scratch[in_chunk..in_chunk + take]);
            }
            filled += take;
        }
        Ok(())
    }

    /// A range of a payload that is read into a buffer: from the process's cache of decoded bytes, or decoded now and kept there. The whole
    /// payload is one buffer that all its readers share; a part of it is a buffer of its own.
    pub(crate) fn decoded<'p>(
        &self,
        range: Range<u64>,
        access: BaseAccess,
        control: &Control<'_>,
        helpers: impl FnOnce() -> Option<&'p rayon::ThreadPool>,
    ) -> Result<Bytes> {
        let (start, len) = self.check_range(&range)?;
        if let Some(whole) = self.decoded_before(None) {
            return if len == whole.len() { Ok(whole) } else { copied(&whole[start..start + len]) };
        }
        let mut buffer = AlignedBuffer::zeroed(len)?;
        let is_whole = len as u64 == self.record.raw_bytes && len > 0;
        if !is_whole {
            self.decode_into(range.start, buffer.as_mut_slice(), access, control)?;
            return Ok(Bytes::owned(buffer));
        }
        let pool = if len >= PARALLEL_DECODE_BYTES { helpers() } else { None };
        self.decode_whole(buffer.as_mut_slice(), access, pool, control)?;
        let bytes = Bytes::owned(buffer);
        decoded::keep(self.piece(None), &bytes);
        Ok(bytes)
    }

    /// As [`PayloadCopy::read_into`], through the cache of decoded bytes for a payload that is read into a buffer.
    pub(crate) fn read_through(&self, start: u64, target: &mut [u8]) -> Result<()> {
        if !self.is_buffered() {
            return self.read_into(start, target);
        }
        let (from, len) = self.check_range(&(start..start.saturating_add(target.len() as u64)))?;
        match self.decoded_before(None) {
            Some(whole) => {
                target.copy_from_slice(&whole[from..from + len]);
                Ok(())
            }
            None => self.decode_into(start, target, BaseAccess::Calls, &Control::new()),
        }
    }

    /// Fills `target`, which lies inside the payload, from decoded chunks.
    fn decode_into(&self, start: u64, target: &mut [u8], access: BaseAccess, control: &Control<'_>) -> Result<()> {
        let chunk_bytes = u64::from(self.record.chunk_bytes);
        let is_scan = target.len() as u64 / chunk_bytes > CHUNKS_KEPT;
        let mut filled = 0;
        while filled < target.len() {
            control.check()?;
            let at = start + filled as u64;
            let chunk = at / chunk_bytes;
            let in_chunk = (at % chunk_bytes) as usize;
            let chunk_len = self.record.raw_chunk_bytes(chunk) as usize;
            let take = (chunk_len - in_chunk).min(target.len() - filled);
            let part = &mut target[filled..filled + take];
            let number = u32::try_from(chunk).map_err(|_| Error::internal("chunk number"))?;
            match self.decoded_before(Some(number)) {
                Some(bytes) => part.copy_from_slice(&bytes[in_chunk..in_chunk + take]),
                None if is_scan && take == chunk_len => self.read_chunk(chunk, part, access)?,
                None => {
                    let mut buffer = AlignedBuffer::zeroed(chunk_len)?;
                    self.read_chunk(chunk, buffer.as_mut_slice(), access)?;
                    let bytes = Bytes::owned(buffer);
                    part.copy_from_slice(&bytes[in_chunk..in_chunk + take]);
                    decoded::keep(self.piece(Some(number)), &bytes);
                }
            }
            filled += take;
        }
        Ok(())
    }

    fn decode_whole(
        &self,
        target: &mut [u8],
        access: BaseAccess,
        pool: Option<&rayon::ThreadPool>,
        control: &Control<'_>,
    ) -> Result<()> {
        let chunk_bytes = self.record.chunk_bytes as usize;
        let decode = |(chunk, part): (usize, &mut [u8])| {
            control.check()?;
            self.read_chunk(chunk as u64, part, access)
        };
        if let Some(pool) = pool {
            let done = pool.install(|| target.par_chunks_mut(chunk_bytes).enumerate().try_for_each(decode));
            if done.is_ok() {
                return Ok(());
            }
            // Of several damaged chunks, which one is met first depends on the threads: the pass below tells.
        }
        target.chunks_mut(chunk_bytes).enumerate().try_for_each(decode)
    }

    fn piece(&self, chunk: Option<u32>) -> Piece {
        Piece { reader: self.reader.number(), offset: self.record.data_offset, chunk }
    }

    fn decoded_before(&self, chunk: Option<u32>) -> Option<Bytes> {
        let len = match chunk {
            Some(chunk) => self.record.raw_chunk_bytes(u64::from(chunk)),
            None => self.record.raw_bytes,
        };
        // What can never be kept is not looked for.
        if decoded::fits(len) { decoded::find(self.piece(chunk)) } else { None }
    }

    /// Reads everything again, verifies checksums and the digest. Returns the number of chunks.
    pub(crate) fn verify_all(&self, check_cancel: &dyn Fn() -> Result<()>) -> Result<u64> {
        let mut digest = DigestBuilder::default();
        let mut buffer = Vec::new();
        for chunk in 0..u64::from(self.record.chunk_count) {
            check_cancel()?;
            resize(&mut buffer, self.record.raw_chunk_bytes(chunk) as usize)?;
            self.read_chunk(chunk, &mut buffer, BaseAccess::Calls)?;
            digest.push(Leaf::new(chunk * u64::from(self.record.chunk_bytes), &buffer));
        }
        if digest.finish() != self.record.digest {
            return Err(self.damage("the payload differs from its digest", self.record.data_offset));
        }
        Ok(u64::from(self.record.chunk_count))
    }

    /// Reads everything again as it is stored, and verifies the checksums alone: what can be said of a payload whose base
    /// is elsewhere. Its digest was compared before the record of its commit was written.
    pub(crate) fn verify_stored(&self) -> Result<()> {
        let mut buffer = Vec::new();
        for (chunk, entry) in (0..).zip(&self.table) {
            resize(&mut buffer, entry.stored_bytes as usize)?;
            self.reader.read_exact(&mut buffer, self.stored_offset(chunk))?;
            self.check_chunk(chunk, &buffer)?;
        }
        Ok(())
    }

    /// Start and length of a range; fails with `InvalidArgument` outside the payload.
    #[inline]
    fn check_range(&self, range: &Range<u64>) -> Result<(usize, usize)> {
        let len = range.end.checked_sub(range.start).filter(|_| range.end <= self.record.raw_bytes);
        let bounds = len.and_then(|len| Some((usize::try_from(range.start).ok()?, usize::try_from(len).ok()?)));
        bounds.ok_or_else(|| {
            let what = format!("bytes {}..{} of {}", range.start, range.end, self.record.raw_bytes);
            Error::new(ErrorKind::InvalidArgument, what)
        })
    }

    fn verify_mapped<'p>(
        &self,
        map: &Arc<Map>,
        range: &Range<u64>,
        helpers: impl FnOnce() -> Option<&'p rayon::ThreadPool>,
    ) -> Result<()> {
        if range.is_empty() || self.verified.all() {
            return Ok(());
        }
        let chunk_bytes = u64::from(self.record.chunk_bytes);
        let chunks = range.start / chunk_bytes..(range.end - 1) / chunk_bytes + 1;
        let unverified = (chunks.end - chunks.start).min(self.verified.remaining.load(Ordering::Relaxed) as u64);
        if unverified.saturating_mul(chunk_bytes) >= PARALLEL_BYTES
            && let Some(pool) = helpers()
        {
            let run = (POPULATE_BYTES / chunk_bytes).max(1);
            let runs = (chunks.end - chunks.start).div_ceil(run);
            let verify = |i: u64| {
                let start = chunks.start + i * run;
                self.verify_chunks(map, start..(start + run).min(chunks.end))
            };
            // Of several damaged chunks, which one is met first depends on the threads: the pass below tells.
            let _ = pool.install(|| (0..runs).into_par_iter().try_for_each(verify));
        }
        self.verify_chunks(map, chunks)
    }

    /// Verifies those chunks that are not yet, in order, up to the first that is damaged.
    fn verify_chunks(&self, map: &Arc<Map>, chunks: Range<u64>) -> Result<()> {
        let chunk_bytes = u64::from(self.record.chunk_bytes);
        let mut chunk = chunks.start;
        while chunk < chunks.end {
            if self.verified.is_set(chunk as usize) {
                chunk += 1;
                continue;
            }
            let run = (POPULATE_BYTES / chunk_bytes).max(1).min(chunks.end - chunk);
            let start = chunk * chunk_bytes;
            let len = (run * chunk_bytes).min(self.record.raw_bytes - start) as usize;
            self.populate(map, self.record.data_offset + start, len)?;
            for chunk in chunk..chunk + run {
                let offset = self.record.data_offset + chunk * chunk_bytes;
                let slice = map
                    .slice(offset, self.record.raw_chunk_bytes(chunk) as usize)
                    .map_err(|e| self.reader.read_error(e, offset))?;
                self.check_chunk(chunk, &slice)?;
                self.verified.set(chunk as usize);
            }
            chunk += run;
        }
        Ok(())
    }

    /// Brings bytes into memory through a call that can fail, so that touching them cannot kill the process.
    fn populate(&self, map: &Map, offset: u64, len: usize) -> Result<()> {
        let Err(error) = map.populate(offset, len) else { return Ok(()) };
        if error.raw_os_error() == Some(libc::EINVAL) {
            // A kernel before 5.14 does not know the advice: a positioned read of the same bytes tells as much.
            let mut scratch = zeroed(len)?;
            return self.reader.read_exact(&mut scratch, offset);
        }
        Err(self.reader.read_error(error, offset))
    }

    /// Reads one chunk and verifies it. `buffer` has the chunk's raw length.
    fn read_chunk(&self, chunk: u64, buffer: &mut [u8], access: BaseAccess) -> Result<()> {
        if self.is_coded() {
            self.read_coded_chunk(chunk, buffer)?;
            return self.add_base(chunk, buffer, access);
        }
        let offset = self.record.data_offset + chunk * u64::from(self.record.chunk_bytes);
        read_exact_at(self.reader.file(), buffer, offset).map_err(|e| self.reader.read_error(e, offset))?;
        self.check_chunk(chunk, buffer)
    }

    /// The checksum covers the bytes as stored: a decoder never sees damaged ones.
    fn read_coded_chunk(&self, chunk: u64, buffer: &mut [u8]) -> Result<()> {
        let (stored, _) = self.stored_chunk(chunk)?;
        speed::decode(self.record.codec, &stored, buffer)
            .map_err(|e| self.damage(&format!("chunk {chunk}: {}", e.what()), self.stored_offset(chunk)))
    }

    /// A chunk as it is stored, compared with its checksum, by a positioned read.
    pub(super) fn stored_chunk(&self, chunk: u64) -> Result<(Vec<u8>, ChunkEntry)> {
        let entry = self.table[chunk as usize];
        let mut stored = zeroed(entry.stored_bytes as usize)?;
        let offset = self.stored_offset(chunk);
        read_exact_at(self.reader.file(), &mut stored, offset).map_err(|e| self.reader.read_error(e, offset))?;
        self.check_chunk(chunk, &stored)?;
        Ok((stored, entry))
    }

    /// Turns a decoded difference into the payload's bytes. Of the base only the chunks that lie there are touched.
    fn add_base(&self, chunk: u64, buffer: &mut [u8], access: BaseAccess) -> Result<()> {
        let Some(digest) = self.record.base else { return Ok(()) };
        let base = self.base.as_ref().ok_or_else(|| {
            self.damage(&format!("the payload {digest} that it is coded against is not there"), self.record.offset)
        })?;
        let start = chunk * u64::from(self.record.chunk_bytes);
        let end = start + buffer.len() as u64;
        let mut add = || -> Result<()> {
            if access == BaseAccess::Map && !base.is_buffered() {
                codec::xor(buffer, &base.slice(start..end, || None)?);
            } else {
                let mut raw = zeroed(buffer.len())?;
                base.read_into(start, &mut raw)?;
                codec::xor(buffer, &raw);
            }
            Ok(())
        };
        add().map_err(|e| match &base.record.description.key {
            Some(key) => e.of(format_args!("its base '{key}'")),
            None => e.of(format_args!("its base {digest}")),
        })
    }

    /// Where a chunk lies in the file.
    fn stored_offset(&self, chunk: u64) -> u64 {
        let raw_start = chunk * u64::from(self.record.chunk_bytes);
        self.record.data_offset + self.starts.get(chunk as usize).copied().unwrap_or(raw_start)
    }

    fn check_chunk(&self, chunk: u64, bytes: &[u8]) -> Result<()> {
        let expected = self.table[chunk as usize].crc32;
        let found = crc32fast::hash(bytes);
        if found == expected {
            return Ok(());
        }
        let offset = self.stored_offset(chunk);
        let what = format!("chunk {chunk} differs from its checksum (stored {expected:08x}, found {found:08x})");
        Err(self.damage(&what, offset))
    }

    fn damage(&self, what: &str, offset: u64) -> Error {
        Error::corrupt(what).segment(self.reader.id()).offset(offset)
    }
}

/// The same bytes in a buffer of their own, which keeps no larger one alive.
fn copied(bytes: &[u8]) -> Result<Bytes> {
    let mut buffer = AlignedBuffer::zeroed(bytes.len())?;
    buffer.as_mut_slice().copy_from_slice(bytes);
    Ok(Bytes::owned(buffer))
}

/// The whole verified payload of the record at `offset`, for records that no catalog describes.
pub(crate) fn read_payload(reader: &Arc<SegmentReader>, offset: u64) -> Result<Vec<u8>> {
    let (record, table) = read_record(reader, offset)?;
    let len = usize::try_from(record.raw_bytes).map_err(|_| Error::internal("payload length"))?;
    let copy = PayloadCopy::new(Arc::clone(reader), record, table);
    let mut bytes = zeroed(len)?;
    copy.read_into(0, &mut bytes)?;
    if Digest::of(&bytes) != copy.record.digest {
        return Err(copy.damage("the payload differs from its digest", copy.record.data_offset));
    }
    Ok(bytes)
}

/// Header and chunk table of the record at `offset`.
pub(super) fn read_record(reader: &SegmentReader, offset: u64) -> Result<(Record, Box<[ChunkEntry]>)> {
    let limit = reader.len()?;
    let mut head = vec![0; FIRST_READ_BYTES];
    let got = reader.file().read_at(&mut head, offset).map_err(|e| reader.read_error(e, offset))?;
    head.truncate(got);
    if let Some(header_len) = Record::header_len(&head).filter(|&len| len > head.len()) {
        resize(&mut head, header_len)?;
        reader.read_exact(&mut head, offset)?;
    }
    let record = Record::parse(&head, reader.id(), reader.salt(), offset, limit)?;
    let table_len = usize::try_from(table_bytes(record.chunk_count)).map_err(|_| Error::internal("table length"))?;
    let inside = usize::try_from(record.table_offset - offset)
        .ok()
        .and_then(|start| head.get(start..start.checked_add(table_len)?));
    let table = match inside {
        Some(bytes) => record.parse_table(reader.id(), bytes)?,
        None => {
            let mut bytes = zeroed(table_len)?;
            reader.read_exact(&mut bytes, record.table_offset)?;
            record.parse_table(reader.id(), &bytes)?
        }
    };
    Ok((record, table))
}
