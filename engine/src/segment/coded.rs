//! Coded records: a payload that exists elsewhere is read, encoded chunk by chunk and appended, in bounded memory.

use rayon::prelude::*;

use crate::codec;
use crate::digest::Digest;
use crate::error::Result;
use crate::format::Codec;
use crate::memory::zeroed;

use super::appender::{Appender, BLOCK_BYTES, Body, Written};
use super::record::{ChunkEntry, Description, is_large};

/// A payload to be written once more, in another form.
pub(crate) struct Recoded<'a> {
    pub(crate) description: Description,
    pub(crate) raw_bytes: u64,
    pub(crate) digest: Digest,
    pub(crate) codec: Codec,
    /// Fills a buffer with the raw bytes from an offset on.
    pub(crate) read: &'a (dyn Fn(u64, &mut [u8]) -> Result<()> + Sync),
}

impl Appender {
    /// Appends a payload in the form asked for. Without a trace in the segment when it fails. Encodes on all cores of
    /// `pool`; holds about two blocks of memory.
    pub(crate) fn append_recoded(&mut self, payload: Recoded<'_>, pool: &rayon::ThreadPool) -> Result<Written> {
        let mark = self.tail();
        let result = self.append_recoded_unguarded(payload, pool);
        if result.is_err() {
            self.take_back(mark);
        }
        result
    }

    fn append_recoded_unguarded(&mut self, payload: Recoded<'_>, pool: &rayon::ThreadPool) -> Result<Written> {
        let Recoded { description, raw_bytes, digest, codec, read } = payload;
        self.start_writing()?;
        let width = codec::plane_width(description.dtype);
        let mut body = Body::start(self, &description, is_large(raw_bytes))?;
        body.assume_digest(digest, codec);
        let chunk_bytes = body.chunk_bytes() as usize;
        let block_bytes = BLOCK_BYTES.max(chunk_bytes) as u64;
        let mut at = 0;
        while at < raw_bytes {
            let end = raw_bytes.min(at.saturating_add(block_bytes));
            let mut block = zeroed((end - at) as usize)?;
            read(at, &mut block)?;
            let encode = |chunk: &[u8]| codec::encode(codec, width, chunk);
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
