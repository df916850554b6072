//! The owner of an open segment: appends records at its tail, syncs them, takes back what was not committed, seals.
//! Holds the exclusive lease, which the operating system drops when the process dies.

use std::io;
use std::sync::Arc;

use rayon::prelude::*;

use crate::digest::{Digest, DigestBuilder, Leaf};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{File, LockMode, Open, read_exact_at};
use crate::format::{
    ALIGN_SMALL, Codec, LEASE_READER, LEASE_WRITER, SEGMENT_BYTES_MAX, SEGMENT_HEADER_AREA, SegmentHeaderBytes, Tier,
    align_up,
};

use super::footer::{self, FooterEntry};
use super::header::SegmentHeader;
use super::record::{
    ChunkEntry, Description, Record, build_table, chunk_count, data_offset, extent_bound, is_large, record_end,
    table_bytes, table_offset,
};
use super::site::{SegmentKey, Site};

/// Payloads up to this size are collected and written together with their neighbours.
const COLLECT_BYTES: usize = 256 << 10;
/// Collected bytes are written at the latest when there are this many.
const COLLECTED_BYTES_MAX: usize = 1 << 20;
/// Bytes of a stream that are hashed and written as one block, on all cores.
pub(crate) const BLOCK_BYTES: usize = 4 << 20;
/// Smallest and largest step by which an open segment is preallocated.
const GROW_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=64 << 20;
/// Space behind the tail that stays preallocated when an appender is given back, so that a delete still finds room
/// for its commit record on a full disk.
const KEPT_BYTES: u64 = 64 << 10;

/// Where and how new segments are made.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) site: Site,
    pub(crate) store_uuid: [u8; 16],
    pub(crate) chunk_bytes: u32,
}

/// A record that was appended: where it lies and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) segment: u64,
    /// Of the segment: where its file is.
    pub(crate) site: Tier,
    pub(crate) salt: u64,
    pub(crate) capacity_bytes: u64,
    pub(crate) offset: u64,
    pub(crate) extent_bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) digest: Digest,
}

impl Written {
    /// What is needed to open its segment.
    pub(crate) fn key(&self) -> SegmentKey {
        SegmentKey { id: self.segment, salt: self.salt, capacity_bytes: self.capacity_bytes }
    }
}

/// The exclusive right to append to a segment, given up when dropped or when the process dies.
#[derive(Debug)]
pub(crate) struct Lease {
    segment: u64,
    _lock: Arc<dyn File>,
}

impl Lease {
    /// Takes the lease of a segment; `None` while somebody else, of this process or another, has it.
    pub(crate) fn take(site: &Site, segment: u64) -> Result<Option<Self>> {
        let fail = |what| move |e: io::Error| Error::io(what, e).segment(segment);
        let lock = site.open_lease(segment, Open::Create).map_err(fail("opening the lease"))?;
        let taken = lock.try_lock(LEASE_WRITER, LockMode::Exclusive).map_err(fail("taking the lease"))?;
        Ok(taken.then_some(Lease { segment, _lock: lock }))
    }
}

/// The exclusive right to delete a segment: nobody reads it, and nobody can begin to.
#[derive(Debug)]
pub(crate) struct DeletionLease {
    _lock: Arc<dyn File>,
}

impl DeletionLease {
    /// Takes the right to delete a segment; `None` while somebody, of this process or another, reads it or appends to it.
    pub(crate) fn take(site: &Site, segment: u64) -> Result<Option<Self>> {
        let fail = |what| move |e: io::Error| Error::io(what, e).segment(segment);
        let lock = site.open_lease(segment, Open::Create).map_err(fail("opening the lease"))?;
        for range in [LEASE_WRITER, LEASE_READER] {
            if !lock.try_lock(range, LockMode::Exclusive).map_err(fail("taking the lease"))? {
                return Ok(None);
            }
        }
        Ok(Some(DeletionLease { _lock: lock }))
    }
}

/// An open segment owned by this process.
#[derive(Debug)]
pub(crate) struct Appender {
    site: Site,
    header: SegmentHeader,
    file: Arc<dyn File>,
    _lease: Lease,
    /// End of the last committed record; what lies behind it can be taken back.
    committed: u64,
    /// Where the next record goes.
    tail: u64,
    /// Length of the file; everything up to here has real space.
    allocated: u64,
    /// Finished records not yet written; they end at `tail`.
    collected: Vec<u8>,
    /// End of what was ever written to the file.
    written: u64,
    /// The file has bytes that were not synced.
    unsynced: bool,
    /// The file's name was not synced.
    name_unsynced: bool,
    /// A call failed in a way after which this segment must not be appended to.
    broken: bool,
    /// What failed was a sync: nobody, in whatever process, may append to the segment or sync it again.
    sync_failed: bool,
    /// And nothing may be cut either.
    undecided: bool,
}

impl Appender {
    /// Creates a segment with a new id and takes its lease. Nothing is synced yet.
    pub(crate) fn create(placement: &Placement, first_id: u64, capacity_bytes: u64) -> Result<Self> {
        let site = &placement.site;
        let mut id = first_id.max(1);
        let (lease, file) = loop {
            // The lease is taken first: whoever finds the segment file finds its owner as well.
            if let Some(lease) = Lease::take(site, id)? {
                if site.is_cold() {
                    // Its number must be seen as taken while the disk is away, after a power cut as well.
                    site.sync_leases().map_err(|e| Error::io("syncing the segment directory", e))?;
                }
                match site.open(id, Open::CreateNew) {
                    Ok(file) => break (lease, file),
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(e) => {
                        // Best effort: an empty file is left at worst.
                        let _ = site.remove_lease(id);
                        return Err(site.error("creating the segment", e).segment(id));
                    }
                }
            }
            id += 1;
        };
        let mut random = [0; 8];
        site.machine().random(&mut random).map_err(|e| Error::io("drawing a salt", e))?;
        let header = SegmentHeader {
            store_uuid: placement.store_uuid,
            segment: id,
            salt: u64::from_le_bytes(random),
            capacity_bytes: capacity_bytes.clamp(SEGMENT_HEADER_AREA, SEGMENT_BYTES_MAX),
            created_us: u64::try_from(site.machine().now_us()).unwrap_or(0),
            chunk_bytes: placement.chunk_bytes,
            tier: site.tier(),
        };
        let mut appender = Appender {
            site: site.clone(),
            header,
            file,
            _lease: lease,
            committed: SEGMENT_HEADER_AREA,
            tail: SEGMENT_HEADER_AREA,
            allocated: 0,
            collected: Vec::new(),
            written: SEGMENT_HEADER_AREA,
            unsynced: true,
            name_unsynced: true,
            broken: false,
            sync_failed: false,
            undecided: false,
        };
        let written = appender.reserve(SEGMENT_HEADER_AREA).and_then(|()| {
            let bytes = appender.header.build();
            appender.file.write_at(&bytes, 0).map_err(|e| appender.io("writing the segment header", e))
        });
        if let Err(error) = written {
            // Leave no half-made file behind; if even that fails, it is found and explained by `stat`.
            let _ = site.remove(id).and_then(|()| site.remove_lease(id));
            return Err(error);
        }
        Ok(appender)
    }

    /// Takes over an open segment under its lease, cutting off what was never committed. `None` when the file is not the
    /// segment expected or is not fit to be appended to.
    ///
    /// `settle` is called before anything is cut: afterwards no commit that is invisible now may ever become visible,
    /// and its answer is the committed end as it is then.
    pub(crate) fn adopt(
        placement: &Placement,
        lease: Lease,
        salt: u64,
        committed: u64,
        settle: impl FnOnce() -> Result<u64>,
    ) -> Result<Option<Self>> {
        let id = lease.segment;
        let site = &placement.site;
        let fail = |what| move |e: io::Error| site.error(what, e).segment(id);
        let file = match site.open(id, Open::Write) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(fail("opening the segment"))?,
        };
        let mut bytes = [0; SegmentHeaderBytes::LEN];
        let header = match read_exact_at(&*file, &mut bytes, 0) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(fail("reading the segment header")).and_then(|()| SegmentHeader::parse(&bytes)),
        };
        let len = file.len().map_err(fail("asking for the segment's length"))?;
        let Ok(header) = header else { return Ok(None) };
        if header.store_uuid != placement.store_uuid
            || (header.segment, header.salt) != (id, salt)
            || len < committed
            || committed < SEGMENT_HEADER_AREA
        {
            return Ok(None);
        }
        let mut appender = Appender {
            site: site.clone(),
            header,
            file,
            _lease: lease,
            committed,
            tail: committed,
            allocated: len,
            collected: Vec::new(),
            written: committed,
            unsynced: true,
            name_unsynced: true, // its creator may have died before the directory was synced
            broken: false,
            sync_failed: false,
            undecided: false,
        };
        // Space that was preallocated and never written is kept: cutting it would cost a sync.
        if len > committed && !is_zero(&*appender.file, committed, len).map_err(fail("reading the tail"))? {
            appender.tail = settle()?;
            appender.committed = appender.tail;
            appender.cut(appender.tail)?;
        }
        Ok(Some(appender))
    }

    pub(crate) fn id(&self) -> u64 {
        self.header.segment
    }

    pub(crate) fn salt(&self) -> u64 {
        self.header.salt
    }

    /// Raw bytes of a chunk of what is appended here.
    pub(crate) fn chunk_bytes(&self) -> u32 {
        self.header.chunk_bytes
    }

    pub(crate) fn tier(&self) -> Tier {
        self.header.tier
    }

    pub(crate) fn capacity_bytes(&self) -> u64 {
        self.header.capacity_bytes
    }

    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// True when a sync failed, of which all processes have to be told before the lease is given up.
    pub(crate) fn has_failed_sync(&self) -> bool {
        self.sync_failed
    }

    /// True when nothing was appended since the last commit.
    pub(crate) fn is_clean(&self) -> bool {
        self.tail == self.committed
    }

    /// True when the segment holds no record at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.tail == SEGMENT_HEADER_AREA
    }

    /// True when a payload fits behind the tail. An empty segment takes any; one that is half empty takes a payload of
    /// unknown length (`None`) and grows past its capacity if it must.
    pub(crate) fn fits(&self, description: &Description, raw_bytes: Option<u64>) -> Result<bool> {
        if self.is_empty() {
            return Ok(true);
        }
        let Some(raw_bytes) = raw_bytes else { return Ok(self.tail <= self.header.capacity_bytes / 2) };
        let bound = extent_bound(description.header_bytes()?, raw_bytes, self.header.chunk_bytes);
        Ok(self.tail.saturating_add(bound) <= self.header.capacity_bytes)
    }

    fn io(&self, what: &'static str, e: io::Error) -> Error {
        self.site.error(what, e).segment(self.header.segment)
    }

    fn check_usable(&self) -> Result<()> {
        if !self.broken {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Io, "the segment was abandoned after an earlier failure").segment(self.id()))
    }

    /// What every record needs before its first byte is written past those collected.
    pub(super) fn start_writing(&mut self) -> Result<()> {
        self.check_usable()?;
        self.write_collected()
    }

    /// Writes bytes behind the tail.
    fn write_at(&mut self, bytes: &[u8], offset: u64, what: &'static str) -> Result<()> {
        self.unsynced = true;
        self.written = self.written.max(offset + bytes.len() as u64);
        self.file.write_at(bytes, offset).map_err(|e| self.io(what, e))
    }

    /// Makes sure that bytes up to `end` have real space.
    fn reserve(&mut self, end: u64) -> Result<()> {
        if end <= self.allocated {
            return Ok(());
        }
        if end > SEGMENT_BYTES_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument, "a segment cannot grow that large").segment(self.id()));
        }
        let step = self.allocated.clamp(*GROW_BYTES.start(), *GROW_BYTES.end());
        let generous = self.allocated.saturating_add(step).min(self.header.capacity_bytes).max(end);
        let outcome = match self.file.preallocate(self.allocated..generous) {
            Err(_) if generous > end => self.file.preallocate(self.allocated..end).map(|()| end),
            other => other.map(|()| generous),
        };
        match outcome {
            Ok(allocated) => {
                self.allocated = allocated;
                self.unsynced = true;
                Ok(())
            }
            Err(e) => {
                // The file may have grown by part of the range; cutting it keeps `allocated` true.
                self.broken |= self.file.set_len(self.allocated).is_err();
                Err(self.io("reserving space in the segment", e))
            }
        }
    }

    /// Appends a payload that is at hand as a whole. Hashes and writes large ones on all cores of `pool`, which must not be
    /// given while a lock is held: a thread of the caller's own pool runs others of its tasks while it waits for ours, and
    /// they may want the lock. `digest`, where the caller knows it, saves hashing again.
    pub(crate) fn append(
        &mut self,
        description: Description,
        payload: &[u8],
        digest: Option<Digest>,
        pool: Option<&rayon::ThreadPool>,
    ) -> Result<Written> {
        let mark = self.tail;
        let result = self.append_unguarded(description, payload, digest, pool);
        if result.is_err() {
            self.take_back(mark);
        }
        result
    }

    fn append_unguarded(
        &mut self,
        description: Description,
        payload: &[u8],
        digest: Option<Digest>,
        pool: Option<&rayon::ThreadPool>,
    ) -> Result<Written> {
        self.check_usable()?;
        let mut body = Body::start(self, &description, is_large(payload.len() as u64))?;
        body.known_digest = digest;
        if payload.len() > COLLECT_BYTES {
            self.write_collected()?;
            for block in payload.chunks(BLOCK_BYTES.max(self.header.chunk_bytes as usize)) {
                body.write_block(self, block, pool)?;
            }
            return body.finish(self, description);
        }
        body.hash_block(payload, pool);
        let (record, table) = body.record(self, description)?;
        self.reserve(record.end())?;
        self.collect(&record, payload, &table)?;
        Ok(self.written(&record))
    }

    /// Appends a finished small record to the bytes to be written.
    fn collect(&mut self, record: &Record, payload: &[u8], table: &[u8]) -> Result<()> {
        let base = self.tail;
        let start = self.collected.len();
        let place = |offset: u64| start + (offset - base) as usize;
        let header = record.build(self.id(), self.salt())?;
        self.collected.extend_from_slice(&header);
        self.collected.resize(place(record.data_offset), 0);
        self.collected.extend_from_slice(payload);
        self.collected.resize(place(record.table_offset), 0);
        self.collected.extend_from_slice(table);
        self.collected.resize(place(record.end()), 0);
        self.tail = record.end();
        self.unsynced = true;
        if self.collected.len() > COLLECTED_BYTES_MAX {
            self.write_collected()?;
        }
        Ok(())
    }

    fn write_collected(&mut self) -> Result<()> {
        if self.collected.is_empty() {
            return Ok(());
        }
        let start = self.tail - self.collected.len() as u64;
        let collected = std::mem::take(&mut self.collected);
        let outcome = self.write_at(&collected, start, "writing records");
        self.collected = collected;
        outcome.map(|()| self.collected.clear())
    }

    fn written(&self, record: &Record) -> Written {
        Written {
            segment: self.id(),
            site: self.site.tier(),
            salt: self.salt(),
            capacity_bytes: self.header.capacity_bytes,
            offset: record.offset,
            extent_bytes: record.extent_bytes,
            stored_bytes: record.stored_bytes,
            raw_bytes: record.raw_bytes,
            digest: record.digest,
        }
    }

    /// Forgets everything appended behind `mark`, an earlier [`Appender::tail`]. The bytes are cut off, so that they can
    /// never be taken for records; if that fails, the segment is not appended to any more.
    pub(crate) fn take_back(&mut self, mark: u64) {
        debug_assert!(mark >= self.committed && mark <= self.tail);
        if self.undecided {
            return;
        }
        if self.broken {
            // Never sync again. Cutting at least hides the records from whoever opens the file next.
            self.collected.clear();
            self.tail = mark;
            let _ = self.file.set_len(mark);
            return;
        }
        let collected_start = self.tail - self.collected.len() as u64;
        self.collected.truncate(usize::try_from(mark.saturating_sub(collected_start)).unwrap_or(0));
        self.tail = mark;
        if self.written > mark && self.cut(mark.min(collected_start)).is_err() {
            self.broken = true;
        }
    }

    /// As [`Appender::take_back`], for commit records: a power cut must not bring back a commit that failed.
    pub(crate) fn retract(&mut self, mark: u64) {
        let was_written = self.written > mark;
        self.take_back(mark);
        if was_written && !self.broken {
            // Best effort for the caller, who has an error already; the failure itself is remembered.
            let _ = self.sync_file();
        }
    }

    /// Gives the segment up as it is: what was appended may belong to a commit that is decided later, by whoever replays
    /// the catalog's log.
    pub(crate) fn leave_undecided(&mut self) {
        self.broken = true;
        self.undecided = true;
    }

    /// Forgets everything appended since the last commit.
    pub(crate) fn take_back_all(&mut self) {
        self.take_back(self.committed);
    }

    /// Cuts the file behind its last good byte.
    fn cut(&mut self, end: u64) -> Result<()> {
        self.file.set_len(end).map_err(|e| self.io("cutting uncommitted records", e))?;
        self.allocated = end;
        self.written = end;
        self.unsynced = true;
        Ok(())
    }

    /// Makes everything appended durable, including the segment's name. An error is final: the segment is broken.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.write_out()?;
        if !self.unsynced && !self.name_unsynced {
            return Ok(());
        }
        // After a sync that failed the next one may succeed and mean nothing.
        self.check_usable()?;
        self.sync_file()?;
        self.unsynced = false;
        self.name_unsynced = false;
        Ok(())
    }

    fn sync_file(&mut self) -> Result<()> {
        let outcome =
            self.file.sync_data().and_then(|()| if self.name_unsynced { self.site.sync_dir() } else { Ok(()) });
        outcome.map_err(|e| {
            self.broken = true;
            self.sync_failed = true;
            let error = self.io("syncing the segment", e);
            if self.site.is_cold() {
                return error; // of a move: the copies it was made from stay
            }
            error.hint("the data of this commit is lost; the segment is abandoned and the next commit uses another one")
        })
    }

    /// Writes what was collected, without syncing.
    pub(crate) fn write_out(&mut self) -> Result<()> {
        self.write_collected().inspect_err(|_| self.broken = true)
    }

    /// Everything appended so far is committed now.
    pub(crate) fn mark_committed(&mut self) {
        self.committed = self.tail;
    }

    /// Gives space behind the tail back, except a little. Best effort.
    pub(crate) fn trim(&mut self) {
        let keep = self.tail + KEPT_BYTES;
        if !self.broken && self.collected.is_empty() && self.allocated > keep && self.file.set_len(keep).is_ok() {
            self.allocated = keep;
            self.unsynced = true;
        }
    }

    /// Writes the footer; nothing may be appended afterwards. `entries` are the records in order of offset. The lease
    /// is kept until the appender is dropped, so that the catalog can be told before anybody else looks.
    pub(crate) fn seal(&mut self, entries: &[FooterEntry]) -> Result<()> {
        self.write_collected()?;
        let start = align_up(self.tail, ALIGN_SMALL);
        let bytes = footer::build(entries, self.tail, self.salt())?;
        let end = start + bytes.len() as u64;
        self.reserve(end)?;
        self.write_at(&bytes, start, "writing the segment footer")?;
        self.file.set_len(end).map_err(|e| self.io("cutting the sealed segment", e))?;
        self.allocated = end;
        self.sync_file()
    }

    /// Starts a payload whose length is not known yet. `large` chooses the alignment.
    pub(crate) fn stream(mut self, description: Description) -> Result<Stream, Box<(Self, Error)>> {
        let ready = self.check_usable().and_then(|()| self.write_collected());
        match ready.and_then(|()| Body::start(&self, &description, true)) {
            Ok(body) => Ok(Stream { body, description, mark: self.tail, block: Vec::new(), appender: self }),
            Err(error) => Err(Box::new((self, error))),
        }
    }
}

/// A payload being written piece by piece. Owns its appender until it is finished or abandoned.
#[derive(Debug)]
pub(crate) struct Stream {
    appender: Appender,
    description: Description,
    body: Body,
    mark: u64,
    /// Bytes not yet hashed and written; less than a block.
    block: Vec<u8>,
}

impl Stream {
    /// Bytes given so far.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.body.raw_bytes + self.block.len() as u64
    }

    /// Where the record starts, for [`Appender::take_back`].
    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }

    /// Takes the next bytes. Blocks while a full block is hashed and written.
    pub(crate) fn write(&mut self, mut bytes: &[u8], pool: &rayon::ThreadPool) -> Result<()> {
        let block_bytes = BLOCK_BYTES.max(self.appender.header.chunk_bytes as usize);
        while !bytes.is_empty() {
            if self.block.is_empty() && bytes.len() >= block_bytes {
                let (block, rest) = bytes.split_at(block_bytes);
                self.body.write_block(&mut self.appender, block, Some(pool))?;
                bytes = rest;
                continue;
            }
            let take = (block_bytes - self.block.len()).min(bytes.len());
            self.block.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.block.len() == block_bytes {
                self.body.write_block(&mut self.appender, &self.block, Some(pool))?;
                self.block.clear();
            }
        }
        Ok(())
    }

    /// Ends the payload; `shape` is final now. The appender comes back in any case, without the record on an error.
    pub(crate) fn finish(mut self, shape: Vec<u64>, pool: &rayon::ThreadPool) -> (Appender, Result<Written>) {
        let result = self.finish_unguarded(shape, pool);
        if result.is_err() {
            self.appender.take_back(self.mark);
        }
        (self.appender, result)
    }

    fn finish_unguarded(&mut self, shape: Vec<u64>, pool: &rayon::ThreadPool) -> Result<Written> {
        if !self.block.is_empty() {
            self.body.write_block(&mut self.appender, &self.block, Some(pool))?;
        }
        self.description.shape = shape;
        let body = std::mem::take(&mut self.body);
        body.finish(&mut self.appender, self.description.clone())
    }

    /// Gives the payload up.
    pub(crate) fn abandon(mut self) -> Appender {
        self.appender.take_back(self.mark);
        self.appender
    }
}

/// The payload part of a record in the making: hashed, checksummed, and where it goes.
#[derive(Default)]
pub(super) struct Body {
    offset: u64,
    header_bytes: u64,
    data_offset: u64,
    raw_bytes: u64,
    /// Bytes written of a coded payload; unused for a raw one.
    coded_bytes: u64,
    codec: Option<Codec>,
    table: Vec<ChunkEntry>,
    digest: DigestBuilder,
    /// Given by the caller instead of being computed.
    known_digest: Option<Digest>,
    /// Of what the payload is coded against.
    base: Option<Digest>,
    chunk_bytes: u32,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes at {})", self.raw_bytes, self.offset)
    }
}

impl Body {
    pub(super) fn start(appender: &Appender, description: &Description, large: bool) -> Result<Self> {
        let header_bytes = description.header_bytes()?;
        Ok(Body {
            offset: appender.tail,
            header_bytes,
            data_offset: data_offset(appender.tail, header_bytes, large),
            chunk_bytes: appender.header.chunk_bytes,
            ..Body::default()
        })
    }

    pub(super) fn chunk_bytes(&self) -> u32 {
        self.chunk_bytes
    }

    /// The payload is written in coded form; its digest is that of the raw bytes, which the caller knows.
    pub(super) fn assume_digest(&mut self, digest: Digest, codec: Codec, base: Option<Digest>) {
        (self.known_digest, self.codec, self.base) = (Some(digest), Some(codec), base);
    }

    /// Writes the next chunk of a coded payload.
    pub(super) fn write_coded(&mut self, appender: &mut Appender, chunk: &[u8], entry: ChunkEntry) -> Result<()> {
        let start = self.data_offset + self.coded_bytes;
        appender.reserve(start + chunk.len() as u64)?;
        appender.write_at(chunk, start, "writing a coded payload")?;
        self.coded_bytes += chunk.len() as u64;
        self.table.push(entry);
        Ok(())
    }

    /// So many raw bytes are behind the chunks written last.
    pub(super) fn count_raw(&mut self, bytes: u64) {
        self.raw_bytes += bytes;
    }

    /// Bytes of the payload as stored.
    fn stored_bytes(&self) -> u64 {
        match self.codec {
            None | Some(Codec::Raw) => self.raw_bytes,
            Some(_) => self.coded_bytes,
        }
    }

    /// Hashes a block and keeps its checksums. All blocks but the last are multiples of the chunk size.
    fn hash_block(&mut self, block: &[u8], pool: Option<&rayon::ThreadPool>) {
        // A closure that cannot fail makes this call infallible.
        let _ = self.process(block, pool, |_, _| Ok(()));
    }

    /// Hashes, checksums and writes a block in one pass over its chunks, while each is in cache.
    fn write_block(&mut self, appender: &mut Appender, block: &[u8], pool: Option<&rayon::ThreadPool>) -> Result<()> {
        let start = self.data_offset + self.raw_bytes;
        appender.reserve(start + block.len() as u64)?;
        appender.unsynced = true;
        appender.written = appender.written.max(start + block.len() as u64);
        let file = &appender.file;
        self.process(block, pool, |offset, chunk| file.write_at(chunk, start + offset))
            .map_err(|e| appender.io("writing a payload", e))
    }

    fn process(
        &mut self,
        block: &[u8],
        pool: Option<&rayon::ThreadPool>,
        write: impl Fn(u64, &[u8]) -> io::Result<()> + Sync,
    ) -> io::Result<()> {
        let chunk_bytes = self.chunk_bytes as usize;
        let first = self.raw_bytes;
        let hash = self.known_digest.is_none();
        let one = |(i, chunk): (usize, &[u8])| {
            let offset = (i * chunk_bytes) as u64;
            let leaf = hash.then(|| Leaf::new(first + offset, chunk));
            let entry = ChunkEntry { stored_bytes: chunk.len() as u32, crc32: crc32fast::hash(chunk) };
            write(offset, chunk).map(|()| (leaf, entry))
        };
        let parts: Vec<(Option<Leaf>, ChunkEntry)> = match pool {
            Some(pool) if block.len() > chunk_bytes => {
                pool.install(|| block.par_chunks(chunk_bytes).enumerate().map(one).collect::<io::Result<_>>())?
            }
            _ => block.chunks(chunk_bytes).enumerate().map(one).collect::<io::Result<_>>()?,
        };
        for (leaf, entry) in parts {
            leaf.into_iter().for_each(|leaf| self.digest.push(leaf));
            self.table.push(entry);
        }
        self.raw_bytes += block.len() as u64;
        Ok(())
    }

    /// The header and the chunk table, now that everything is known.
    fn record(self, appender: &Appender, description: Description) -> Result<(Record, Vec<u8>)> {
        let too_long = || Error::new(ErrorKind::InvalidShape, "the payload has more chunks than a record can list");
        let chunks = chunk_count(self.raw_bytes, self.chunk_bytes).ok_or_else(too_long)?;
        let table_offset = table_offset(self.data_offset, self.stored_bytes());
        let table = build_table(&self.table);
        debug_assert_eq!(table.len() as u64, table_bytes(chunks));
        debug_assert_eq!(description.header_bytes().ok(), Some(self.header_bytes));
        let record = Record {
            description,
            offset: appender.tail,
            extent_bytes: record_end(table_offset, chunks) - appender.tail,
            header_bytes: self.header_bytes,
            data_offset: self.data_offset,
            stored_bytes: self.stored_bytes(),
            raw_bytes: self.raw_bytes,
            table_offset,
            chunk_bytes: self.chunk_bytes,
            chunk_count: chunks,
            table_crc32: crc32fast::hash(&table),
            codec: self.codec.unwrap_or(Codec::Raw),
            digest: self.known_digest.unwrap_or_else(|| self.digest.finish()),
            base: self.base,
        };
        Ok((record, table))
    }

    /// Writes table and header of a payload whose blocks were written, and moves the tail behind it.
    pub(super) fn finish(self, appender: &mut Appender, description: Description) -> Result<Written> {
        let (record, table) = self.record(appender, description)?;
        appender.reserve(record.end())?;
        let header = record.build(appender.id(), appender.salt())?;
        appender.write_at(&table, record.table_offset, "writing a chunk table")?;
        appender.write_at(&header, record.offset, "writing a record header")?;
        appender.tail = record.end();
        Ok(appender.written(&record))
    }
}

/// True when a part of a file holds only zeros, and is short enough to look.
fn is_zero(file: &dyn File, start: u64, end: u64) -> io::Result<bool> {
    let len = end - start;
    if len > 4 * KEPT_BYTES {
        return Ok(false);
    }
    let mut bytes = vec![0; len as usize];
    let got = file.read_at(&mut bytes, start)?;
    Ok(bytes[..got].iter().all(|&byte| byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Volume;
    use crate::file::sim::SimDisk;

    // Story: one commit of a group failed and was taken back with a sync, which failed as well. The rest of the group
    // synced the same file again, was told that all is well, and lost bytes were acknowledged as durable.
    #[test]
    fn a_segment_is_never_synced_again_after_a_sync_that_failed() {
        let disk = SimDisk::new();
        let volume: Arc<dyn Volume> = disk.process();
        volume.create_dir(crate::format::names::SEGMENTS).unwrap();
        let placement = Placement { site: Site::warm(&volume), store_uuid: [1; 16], chunk_bytes: 4096 };
        let mut appender = Appender::create(&placement, 1, 1 << 20).unwrap();
        appender.append(Description::commit(3, 0), b"one", None, None).unwrap();
        let mark = appender.tail();
        appender.append(Description::commit(3, 0), b"two", None, None).unwrap();
        appender.write_out().unwrap();
        disk.fail_sync(1);
        appender.retract(mark);
        assert!(appender.has_failed_sync());
        assert_eq!(appender.sync().unwrap_err().kind(), ErrorKind::Io);
    }
}
