//! Calls that a cancel flag or a deadline may end, for those that have a shorter form without: read, map, put, commit, query.

use std::ops::Range;

use super::snapshot::Address;
use super::{Payload, PutOptions, QueryResult, Store, WriteTxn};
use crate::bytes::{AlignedBuffer, Bytes};
use crate::control::{Control, Progress};
use crate::error::Result;
use crate::tensor::Tensor;

use super::writer::PayloadWriter;

/// Bytes between two looks at the flag.
const BLOCK_BYTES: usize = 4 << 20;
/// The same where bytes are verified in the map, which several threads share from 8 MiB on.
const TOUCH_BYTES: u64 = 64 << 20;

impl Payload {
    /// As [`Payload::read_into`], ended by the flag or the deadline within 4 MiB. After `Cancelled` the first bytes of
    /// `target` are those of the payload, and the rest is as it was.
    pub fn read_into_within(&self, offset: u64, target: &mut [u8], control: &Control<'_>) -> Result<()> {
        control.check()?;
        if target.len() <= BLOCK_BYTES {
            return self.read_into(offset, target);
        }
        let total = target.len() as u64;
        let mut done = 0_u64;
        for block in target.chunks_mut(BLOCK_BYTES) {
            control.check()?;
            self.read_into(offset.saturating_add(done), block)?;
            done += block.len() as u64;
            control.report(Progress { bytes_done: done, bytes_total: total, ..Progress::default() });
        }
        Ok(())
    }

    /// As [`Payload::range`], ended by the flag or the deadline within 64 MiB of what is read. What was verified by then
    /// stays so.
    pub fn range_within(&self, range: Range<u64>, control: &Control<'_>) -> Result<Bytes> {
        control.check()?;
        let len = range.end.saturating_sub(range.start);
        if len <= TOUCH_BYTES || range.end > self.len() {
            return self.range(range);
        }
        if !self.is_mapped() {
            let mut buffer = AlignedBuffer::zeroed(usize::try_from(len).unwrap_or(usize::MAX))?;
            self.read_into_within(range.start, buffer.as_mut_slice(), control)?;
            return Ok(Bytes::owned(buffer));
        }
        let mut at = range.start;
        while at < range.end {
            control.check()?;
            let end = at.saturating_add(TOUCH_BYTES).min(range.end);
            drop(self.range(at..end)?);
            at = end;
            let bytes_done = at - range.start;
            control.report(Progress { bytes_done, bytes_total: len, ..Progress::default() });
        }
        self.range(range)
    }
}

impl Store {
    /// As [`Store::query`], ended by the flag or the deadline within 5 ms, in the middle of a statement.
    pub fn query_within(&self, sql: &str, row_limit: usize, control: &Control<'_>) -> Result<QueryResult> {
        self.inner.check_usable()?;
        self.inner.catalog.user_query(sql, row_limit, control).map_err(|e| e.during("query"))
    }
}

impl WriteTxn {
    /// As [`WriteTxn::put_with`], ended by the flag or the deadline within 4 MiB. After `Cancelled` the transaction is as
    /// it was before, and goes on.
    pub fn put_within<'k>(
        &mut self,
        key: impl Into<Address<'k>>,
        tensor: &Tensor<'_>,
        options: &PutOptions,
        control: &Control<'_>,
    ) -> Result<()> {
        control.check()?;
        let address = key.into();
        if tensor.bytes().len() <= BLOCK_BYTES {
            return self.put_with(address, tensor, options);
        }
        let shape: Vec<Option<u64>> = tensor.shape().iter().copied().map(Some).collect();
        let total = tensor.bytes().len() as u64;
        let mut put = || -> Result<()> {
            let encoding = tensor.encoding().clone();
            let mut writer = PayloadWriter::encoded(self, address, tensor.dtype(), &shape, encoding, options)?;
            for block in tensor.bytes().chunks(BLOCK_BYTES) {
                control.check()?;
                writer.append(block)?;
                let bytes_done = writer.len_bytes();
                control.report(Progress { bytes_done, bytes_total: total, ..Progress::default() });
            }
            writer.finish()
        };
        put().map_err(|e| e.during("put").key(address.key))
    }

    /// As [`WriteTxn::commit`], given up with `Cancelled` where the flag is set or the deadline has passed before the
    /// commit begins. One that has begun is brought to its end, for others may share it; what it waits for in other
    /// processes is bounded by [`Options::lock_timeout`](crate::Options::lock_timeout).
    pub fn commit_within(self, control: &Control<'_>) -> Result<u64> {
        control.check().map_err(|e| e.during("commit"))?;
        self.commit()
    }
}
