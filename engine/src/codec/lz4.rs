//! LZ4 blocks: a few percent larger than Zstandard's frames, decoded several times as fast.

use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use crate::memory::zeroed;

/// Encodes into `room`; `None` when it does not fit, or there is no memory to find out: the encoder wants room for the worst.
pub(super) fn encode(raw: &[u8], room: &mut [u8]) -> Option<usize> {
    let mut block = zeroed(get_maximum_output_size(raw.len())).ok()?;
    let len = compress_into(raw, &mut block).ok()?;
    room.get_mut(..len)?.copy_from_slice(block.get(..len)?);
    Some(len)
}

/// Decodes exactly `block` into exactly `raw`; `None` when it is damaged.
pub(super) fn decode(block: &[u8], raw: &mut [u8]) -> Option<()> {
    (decompress_into(block, raw).ok()? == raw.len()).then_some(())
}
