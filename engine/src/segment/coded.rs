//! Payloads that exist elsewhere, appended in bounded memory: encoded chunk by chunk, or as they are stored.

use rayon::prelude::*;

use crate::codec::{self, Coding};
use crate::digest::Digest;
use crate::error::Result;
use crate::memory::zeroed;

use super::appender::{Appender, BLOCK_BYTES, Body, Written};
use super::copy::PayloadCopy;
use super::record::{ChunkEntry, Description, is_large};

/// A payload to be written once more, in another form.
pub(crate) struct Recoded<'a> {
    pub(crate) description: Description,
    pub(crate) raw_bytes: u64,
    pub(crate) digest: Digest,
    pub(crate) coding: Coding,
    /// What it is coded against; with codec delta, and only then.
    pub(crate) base: Option<&'a PayloadCopy>,
    /// Fills a buffer with the raw bytes from an offset on.
    pub(crate) read: &'a (dyn Fn(u64, &mut [u8]) -> Result<()> + Sync),
}

impl Appender {
    /// Appends a payload as it is stored elsewhere, each chunk compared with its checksum and none decoded. Chunks there
    /// have the length that those of this segment have. Without a trace in the segment when it fails.
    pub(crate) fn append_same(
        &mut self,
        source: &PayloadCopy,
        check_cancel: &dyn Fn() -> Result<()>,
    ) -> Result<Written> {
        let mark = self.tail();
        let result = self.append_same_unguarded(source, check_cancel);
        if result.is_err() {
            self.take_back(mark);
        }
        result
    }

    fn append_same_unguarded(
        &mut self,
        source: &PayloadCopy,
        check_cancel: &dyn Fn() -> Result<()>,
    ) -> Result<Written> {
        let record = source.record();
        self.start_writing()?;
        let mut body = Body::start(self, &record.description, is_large(record.raw_bytes))?;
        // What a delta is coded against stays the same payload, wherever that lies by now.
        body.assume_digest(record.digest, record.codec, record.base);
        for chunk in 0..u64::from(record.chunk_count) {
            check_cancel()?;
            let (stored, entry) = source.stored_chunk(chunk)?;
            body.write_coded(self, &stored, entry)?;
        }
        body.count_raw(record.raw_bytes);
        body.finish(self, record.description.clone())
    }

    /// Appends a payload in the form asked for. Without a trace in the segment when it fails. Encodes on all cores of
    /// `pool`; holds about two blocks of memory, three with a base.
    pub(crate) fn append_recoded(&mut self, payload: Recoded<'_>, pool: &rayon::ThreadPool) -> Result<Written> {
        let mark = self.tail();
        let result = self.append_recoded_unguarded(payload, pool);
        if result.is_err() {
            self.take_back(mark);
        }
        result
    }

    fn append_recoded_unguarded(&mut self, payload: Recoded<'_>, pool: &rayon::ThreadPool) -> Result<Written> {
        let Recoded { description, raw_bytes, digest, coding, base, read } = payload;
        self.start_writing()?;
        let width = codec::plane_width(description.dtype);
        let mut body = Body::start(self, &description, is_large(raw_bytes))?;
        body.assume_digest(digest, coding.codec, base.map(|base| base.record().digest));
        let chunk_bytes = body.chunk_bytes() as usize;
        let block_bytes = BLOCK_BYTES.max(chunk_bytes) as u64;
        let mut at = 0;
        while at < raw_bytes {
            let end = raw_bytes.min(at.saturating_add(block_bytes));
            let mut block = zeroed((end - at) as usize)?;
            read(at, &mut block)?;
            if let Some(base) = base {
                let mut other = zeroed(block.len())?;
                base.read_into(at, &mut other)?;
                codec::xor(&mut block, &other);
            }
            let encode = |chunk: &[u8]| codec::encode(coding, width, chunk);
            let coded: Vec<Vec<u8>> =
                pool.install(|| block.par_chunks(chunk_bytes).map(encode).collect::<Result<_>>())?;
            for chunk in &coded {
                let entry = ChunkEntry { stored_bytes: chunk.len() as u32, crc32: crc32fast::hash(chunk) };
                body.write_coded(self, chunk, entry)?;
            }
            body.count_raw(end - at);
            at = end;
        }
        body.finish(self, description)
    }
}
