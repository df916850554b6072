//! LZ4 blocks: a few percent larger than Zstandard's frames, decoded several times as fast.

/// Encodes into `room`; `None` when it does not fit.
pub(super) fn encode(raw: &[u8], room: &mut [u8]) -> Option<usize> {
    lz4_flex::block::compress_into(raw, room).ok()
}

/// Decodes exactly `block` into exactly `raw`; `None` when it is damaged.
pub(super) fn decode(block: &[u8], raw: &mut [u8]) -> Option<()> {
    (lz4_flex::block::decompress_into(block, raw).ok()? == raw.len()).then_some(())
}
