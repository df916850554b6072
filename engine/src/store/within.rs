//! Calls that a cancel flag or a deadline may end, for those that have a shorter form without: read, put, commit, query.

use std::ops::Range;

use crate::bytes::Bytes;
use crate::control::{Control, Progress};
use crate::error::Result;
use crate::kernels::Rows;
use crate::tensor::Tensor;

use super::snapshot::Address;
use super::writer::PayloadWriter;
use super::{Payload, PutOptions, QueryResult, Store, VectorSet, WriteTxn};

/// Bytes between two looks at the flag.
const BLOCK_BYTES: usize = 4 << 20;
/// Bytes verified between two looks at the flag: enough for all threads.
const TOUCH_BYTES: u64 = 32 << 20;

impl Payload {
    /// As [`Payload::range`], ended by the flag or the deadline: of a first touch within 32 MiB, of a copy within 4 MiB, of
    /// a cold payload within one chunk. What was verified by then stays verified.
    pub fn range_within(&self, range: Range<u64>, control: &Control<'_>) -> Result<Bytes> {
        control.check()?;
        if self.is_ready() {
            return self.range(range);
        }
        let total = range.end.saturating_sub(range.start);
        let mut at = range.start;
        while self.is_mapped() && at < range.end {
            control.check()?;
            let end = range.end.min(at.saturating_add(TOUCH_BYTES));
            self.touch(at..end)?;
            at = end;
            let bytes_done = at - range.start;
            control.report(Progress { bytes_done, bytes_total: total, ..Progress::default() });
        }
        self.read_range(range, control)
    }

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
        let mut put = || -> Result<()> {
            let encoding = tensor.encoding().clone();
            let mut writer = PayloadWriter::encoded(self, address, tensor.dtype(), &shape, encoding, options)?;
            writer.append_within(tensor.bytes(), control)?;
            writer.finish()
        };
        put().map_err(|e| e.during("put").key(address.key))
    }

    /// As [`WriteTxn::commit`], given up with `Cancelled`, and then nothing changed, where the flag is set or the deadline
    /// has passed before the last sync of its segments is done: while it waits for its turn or for another process, and
    /// between the syncs of two segments. A sync that has begun ends when the device says so; commits of other threads
    /// that share the syncs of this one are brought to their end, and this one with them.
    pub fn commit_within(self, control: &Control<'_>) -> Result<u64> {
        control.check().map_err(|e| e.during("commit"))?;
        self.submit(control)
    }
}

impl PayloadWriter<'_> {
    /// As [`PayloadWriter::append`], ended by the flag or the deadline within 4 MiB. After `Cancelled` the payload is given
    /// up, as after any error.
    pub fn append_within(&mut self, bytes: &[u8], control: &Control<'_>) -> Result<()> {
        let total = self.len_bytes().saturating_add(bytes.len() as u64);
        for block in bytes.chunks(BLOCK_BYTES) {
            if let Err(cancelled) = control.check() {
                self.give_up();
                return Err(cancelled.during("put"));
            }
            self.append(block)?;
            let bytes_done = self.len_bytes();
            control.report(Progress { bytes_done, bytes_total: total, ..Progress::default() });
        }
        Ok(())
    }
}

impl VectorSet {
    /// As [`VectorSet::append`], ended by the flag or the deadline between the steps of its work (matrix, ids, companion,
    /// commit); then nothing changed.
    pub fn append_within(&self, ids: &[i64], rows: Rows<'_>, control: &Control<'_>) -> Result<()> {
        self.change(control, |writer| writer.append(ids, rows))
    }

    /// As [`VectorSet::upsert`], ended as [`VectorSet::append_within`] is.
    pub fn upsert_within(&self, ids: &[i64], rows: Rows<'_>, control: &Control<'_>) -> Result<()> {
        self.change(control, |writer| writer.upsert(ids, rows))
    }

    /// As [`VectorSet::delete`], ended as [`VectorSet::append_within`] is.
    pub fn delete_within(&self, ids: &[i64], control: &Control<'_>) -> Result<u64> {
        self.change(control, |writer| writer.delete(ids))
    }
}
