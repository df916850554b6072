//! The header of a segment: built and parsed here and nowhere else. Pure; no I/O.
#![deny(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use zerocopy::{FromBytes, IntoBytes};

use crate::error::{Error, ErrorKind, Result};
use crate::format::{
    CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, FORMAT_VERSION, SEGMENT_BYTES_MAX, SEGMENT_HEADER_AREA, SEGMENT_MAGIC,
    SegmentHeaderBytes, Tier,
};

/// What a segment says about itself. Holding one means its bytes were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store_uuid: [u8; 16],
    pub(crate) segment: u64,
    /// Random; repeated in every record, so that bytes of another segment are never taken for records of this one.
    pub(crate) salt: u64,
    pub(crate) capacity_bytes: u64,
    pub(crate) created_us: u64,
    pub(crate) chunk_bytes: u32,
    pub(crate) tier: Tier,
}

impl SegmentHeader {
    pub(crate) fn build(&self) -> [u8; SegmentHeaderBytes::LEN] {
        let mut header = SegmentHeaderBytes {
            magic: SEGMENT_MAGIC,
            crc32: 0.into(),
            version: FORMAT_VERSION.into(),
            store_uuid: self.store_uuid,
            segment: self.segment.into(),
            salt: self.salt.into(),
            capacity_bytes: self.capacity_bytes.into(),
            created_us: self.created_us.into(),
            chunk_bytes: self.chunk_bytes.into(),
            tier: self.tier.number(),
            reserved: [0; 59],
        };
        header.crc32 = checksum(&header).into();
        zerocopy::transmute!(header)
    }

    /// Parses the first bytes of a segment. The caller compares store and segment id with what it expects.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| Error::corrupt(format!("segment header: {what}")).offset(0);
        let (header, _) = SegmentHeaderBytes::ref_from_prefix(bytes).map_err(|_| damaged("shorter than a header"))?;
        if header.magic != SEGMENT_MAGIC {
            return Err(damaged("the magic number is missing"));
        }
        if header.crc32.get() != checksum(header) {
            return Err(damaged("differs from its checksum"));
        }
        // Only now is the version believed: a flipped bit must read as damage, not as the future.
        if header.version.get() > FORMAT_VERSION {
            return Err(Error::new(
                ErrorKind::NewerFormat,
                format!("segment format {} is newer than {FORMAT_VERSION}", header.version.get()),
            )
            .hint("open the store with a newer version of this library"));
        }
        let chunk_bytes = header.chunk_bytes.get();
        let capacity_bytes = header.capacity_bytes.get();
        let tier = Tier::from_number(header.tier).ok_or_else(|| damaged("unknown tier"))?;
        // Bounds later divisions by the chunk size and sums of offsets.
        if !(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&chunk_bytes) || !chunk_bytes.is_power_of_two() {
            return Err(damaged("impossible chunk size"));
        }
        if !(SEGMENT_HEADER_AREA..=SEGMENT_BYTES_MAX).contains(&capacity_bytes) || header.segment.get() == 0 {
            return Err(damaged("impossible capacity or id"));
        }
        Ok(SegmentHeader {
            store_uuid: header.store_uuid,
            segment: header.segment.get(),
            salt: header.salt.get(),
            capacity_bytes,
            created_us: header.created_us.get(),
            chunk_bytes,
            tier,
        })
    }
}

/// CRC-32 of everything behind the checksum field.
fn checksum(header: &SegmentHeaderBytes) -> u32 {
    crc32fast::hash(header.as_bytes().get(12..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        SegmentHeader {
            store_uuid: [7; 16],
            segment: 3,
            salt: 0xfeed,
            capacity_bytes: 1 << 28,
            created_us: 5,
            chunk_bytes: 1 << 18,
            tier: Tier::Warm,
        }
    }

    #[test]
    fn round_trip() {
        assert_eq!(SegmentHeader::parse(&sample().build()).unwrap(), sample());
    }

    // A flipped bit anywhere must not yield another valid header.
    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let bytes = sample().build();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::parse(&damaged).unwrap_err().kind(), ErrorKind::Corrupt, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(SegmentHeader::parse(&bytes[..len]).is_err());
        }
        assert!(SegmentHeader::parse(&[0; 128]).is_err(), "zeros are never valid");
    }
}
