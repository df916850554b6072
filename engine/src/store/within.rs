//! Calls on one payload or one transaction that a cancel flag or a deadline may end: read, put, commit.

use super::snapshot::Address;
use super::{Payload, PutOptions, WriteTxn};
use crate::control::{Control, Progress};
use crate::error::Result;
use crate::tensor::Tensor;

use super::writer::PayloadWriter;

/// Bytes between two looks at the flag.
const BLOCK_BYTES: usize = 4 << 20;

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
