//! Raw bytes into one atom: whole if small, as a stream if large, reading ahead while the last block is hashed.

use std::sync::mpsc::sync_channel;

use crate::bytes::AlignedBuffer;
use crate::dtype::{DType, Encoding, byte_len};
use crate::error::{Error, Result};
use crate::store::{Address, PayloadWriter, PutOptions, WriteTxn};
use crate::tensor::Tensor;

use super::bad_file;
use super::source::{BLOCK_BYTES, Source, WHOLE_BYTES_MAX};

/// Puts a whole file.
pub(super) fn put(
    txn: &mut WriteTxn,
    address: Address<'_>,
    source: &Source,
    dtype: DType,
    shape: &[u64],
    encoding: &Encoding,
    options: &PutOptions,
) -> Result<()> {
    let expected = byte_len(dtype, shape, encoding)?;
    if expected != source.len {
        return Err(bad_file(format!(
            "{dtype} with shape {shape:?} takes {expected} bytes, the file has {}",
            source.len
        )));
    }
    put_range(txn, address, source, 0, dtype, shape, encoding, options, &|_| Ok(()))
}

/// Puts a range of a file whose length follows from type and shape. `follow` hears of every block how many bytes are
/// done, and may end the matter.
#[allow(clippy::too_many_arguments)] // one call, two callers, nothing to group
pub(super) fn put_range(
    txn: &mut WriteTxn,
    address: Address<'_>,
    source: &Source,
    offset: u64,
    dtype: DType,
    shape: &[u64],
    encoding: &Encoding,
    options: &PutOptions,
    follow: &dyn Fn(u64) -> Result<()>,
) -> Result<()> {
    let len = byte_len(dtype, shape, encoding)?;
    if len <= WHOLE_BYTES_MAX {
        let bytes = source.read(offset, len)?;
        return txn.put_with(address, &Tensor::encoded(dtype, shape, encoding.clone(), bytes.as_slice())?, options);
    }
    let open: Vec<Option<u64>> = shape.iter().copied().map(Some).collect();
    let mut writer = PayloadWriter::encoded(txn, address, dtype, &open, encoding.clone(), options)?;
    copy_through(source, offset, len, |block| {
        writer.append(block)?;
        follow(writer.len_bytes())
    })?;
    writer.finish()
}

/// Hands a range of the file to `take`, block by block, reading the next while one is taken.
fn copy_through(source: &Source, offset: u64, len: u64, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let (full, filled) = sync_channel::<Result<(AlignedBuffer, usize)>>(1);
    let (empty, emptied) = sync_channel::<AlignedBuffer>(2);
    for _ in 0..2 {
        let _ = empty.send(AlignedBuffer::zeroed(BLOCK_BYTES)?);
    }
    std::thread::scope(move |scope| {
        // Moved in here, so that leaving early hangs up on the reader before the scope waits for it.
        let (filled, empty) = (filled, empty);
        scope.spawn(move || {
            let mut at = 0;
            while at < len {
                // The other side is gone after an error there; then there is nothing left to do.
                let Ok(mut buffer) = emptied.recv() else { return };
                let step = usize::try_from(len - at).unwrap_or(usize::MAX).min(BLOCK_BYTES);
                let outcome = source.read_exact(&mut buffer.as_mut_slice()[..step], offset + at);
                at += step as u64;
                if full.send(outcome.map(|()| (buffer, step))).is_err() {
                    return;
                }
            }
        });
        let mut done = 0;
        while done < len {
            let block = filled.recv().map_err(|_| Error::internal("the reader ended early"))?;
            let (buffer, step) = block?;
            take(&buffer.as_slice()[..step])?;
            done += step as u64;
            let _ = empty.send(buffer);
        }
        Ok(())
    })
}
