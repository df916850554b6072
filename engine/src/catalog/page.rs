//! Checksums that SQLite does not keep itself: of database pages, in the eight bytes it reserves for us at their end,
//! and of pages read from the write-ahead log, where SQLite checks its own checksum only during recovery. Pure.

use crate::format::PAGE_TAG;

/// Page size of every catalog.
pub(super) const PAGE_BYTES: usize = 4096;
/// Bytes at the end of a page that hold the checksum and the tag.
pub(super) const PAGE_TAIL_BYTES: usize = 8;

const WAL_HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;

fn checksum(page: &[u8; PAGE_BYTES], page_number: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&page[..PAGE_BYTES - PAGE_TAIL_BYTES]);
    // A page that lies where another belongs must not pass.
    hasher.update(&page_number.to_le_bytes());
    hasher.finalize()
}

/// Fills in the tail of a page about to be written.
pub(super) fn seal(page: &mut [u8; PAGE_BYTES], page_number: u32) {
    let crc = checksum(page, page_number).to_le_bytes();
    page[PAGE_BYTES - PAGE_TAIL_BYTES..PAGE_BYTES - 4].copy_from_slice(&crc);
    page[PAGE_BYTES - 4..].copy_from_slice(&PAGE_TAG);
}

/// True when a page read from the database file is as it was written.
pub(super) fn is_sound(page: &[u8; PAGE_BYTES], page_number: u32) -> bool {
    page[PAGE_BYTES - 4..] == PAGE_TAG
        && page[PAGE_BYTES - PAGE_TAIL_BYTES..PAGE_BYTES - 4] == checksum(page, page_number).to_le_bytes()
}

/// Where the checksum in front of a log frame's page lies, and the header of that frame; `None` if `offset` is not
/// where a page of a frame lies. See "WAL File Format" in SQLite's file format document.
pub(super) fn frame_at(offset: u64) -> Option<Frame> {
    let stride = FRAME_HEADER_BYTES + PAGE_BYTES as u64;
    let from_first = offset.checked_sub(WAL_HEADER_BYTES + FRAME_HEADER_BYTES)?;
    (from_first % stride == 0).then(|| Frame {
        header_offset: offset - FRAME_HEADER_BYTES,
        // Behind the file header for the first frame, in the frame before for all others.
        previous_offset: if from_first == 0 { 24 } else { offset - FRAME_HEADER_BYTES - stride + 16 },
    })
}

/// Offsets in the log that are needed to check one frame.
pub(super) struct Frame {
    pub(super) header_offset: u64,
    pub(super) previous_offset: u64,
}

/// True when a frame's page matches the running checksum in its header. `magic` is the first word of the log.
pub(super) fn frame_is_sound(magic: [u8; 4], previous: [u8; 8], header: &[u8; 24], page: &[u8; PAGE_BYTES]) -> bool {
    // The lowest bit of the magic number says in which byte order words are summed; checksums are stored big-endian.
    let swap = magic[3] & 1 == 1;
    let mut sums = (be_word(&previous[..4]), be_word(&previous[4..]));
    sum_words(&header[..8], swap, &mut sums);
    sum_words(page, swap, &mut sums);
    sums == (be_word(&header[16..20]), be_word(&header[20..24]))
}

fn be_word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

fn sum_words(bytes: &[u8], big_endian: bool, (s0, s1): &mut (u32, u32)) {
    for pair in bytes.chunks_exact(8) {
        let word = |part: &[u8]| {
            let le = u32::from(part[0]) | u32::from(part[1]) << 8 | u32::from(part[2]) << 16 | u32::from(part[3]) << 24;
            if big_endian { le.swap_bytes() } else { le }
        };
        *s0 = s0.wrapping_add(word(&pair[..4])).wrapping_add(*s1);
        *s1 = s1.wrapping_add(word(&pair[4..])).wrapping_add(*s0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_or_a_misplaced_page_is_noticed() {
        let mut page = [0; PAGE_BYTES];
        page[77] = 3;
        seal(&mut page, 5);
        assert!(is_sound(&page, 5));
        assert!(!is_sound(&page, 6));
        for bit in (0..PAGE_BYTES * 8).step_by(13) {
            let mut damaged = page;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_sound(&damaged, 5), "bit {bit}");
        }
        assert!(!is_sound(&[0; PAGE_BYTES], 1), "zeros are never valid");
    }

    #[test]
    fn frames_are_found_where_sqlite_puts_them() {
        let first = frame_at(56).unwrap();
        assert_eq!((first.header_offset, first.previous_offset), (32, 24));
        let second = frame_at(56 + 4120).unwrap();
        assert_eq!((second.header_offset, second.previous_offset), (32 + 4120, 32 + 16));
        assert!(frame_at(55).is_none() && frame_at(57).is_none() && frame_at(0).is_none());
    }
}
