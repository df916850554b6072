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
    put_range(txn, address, source, 0, dtype, shape, encoding, options, |_| Ok(()))
}

/// Puts a range of a file whose length follows from type and shape. Calls `step` after each block with the bytes done;
/// an error of it ends the work.
#[allow(clippy::too_many_arguments)] // one call, three callers, nothing to group
pub(super) fn put_range(
    txn: &mut WriteTxn,
    address: Address<'_>,
    source: &Source,
    offset: u64,
    dtype: DType,
    shape: &[u64],
    encoding: &Encoding,
    options: &PutOptions,
    mut step: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let len = byte_len(dtype, shape, encoding)?;
    if len <= WHOLE_BYTES_MAX {
        let bytes = source.read(offset, len)?;
        txn.put_with(address, &Tensor::encoded(dtype, shape, encoding.clone(), bytes.as_slice())?, options)?;
        return step(len);
    }
    let open: Vec<Option<u64>> = shape.iter().copied().map(Some).collect();
    let mut writer = PayloadWriter::encoded(txn, address, dtype, &open, encoding.clone(), options)?;
    let mut done = 0;
    copy_through(source, offset, len, |block| {
        writer.append(block)?;
        done += block.len() as u64;
        step(done)
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
    // Moved in, so that an error of `take` drops this end of the channels before the other thread is waited for.
    std::thread::scope(move |scope| {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    // A full disk or a cancelled import in the middle of a large tensor left both threads waiting for each other.
    #[test]
    fn an_error_in_the_middle_ends_the_reading_thread() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(5 * BLOCK_BYTES as u64).unwrap();
        let source = Source::open(Path::new(file.path())).unwrap();
        let (mut blocks, full) = (0, || Error::internal("full"));
        let outcome = copy_through(&source, 0, source.len, |_| {
            blocks += 1;
            if blocks == 2 { Err(full()) } else { Ok(()) }
        });
        assert_eq!(outcome.unwrap_err().what(), "full");
    }
}
