//! The on-disk format as types: magics, versions, sizes, and every fixed structure with its field offsets.
//! `FORMAT.md` shows the same tables; a test compares the two. No I/O and no behaviour here.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version of segments, records and the commit log that this code writes, and the newest it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// Version of records that are coded against a base; what came before such records refuses them as newer.
pub(crate) const RECORD_VERSION_DELTA: u8 = 2;

/// Names inside a store directory.
pub(crate) mod names {
    pub(crate) const STORE: &str = "store.json";
    pub(crate) const STORE_TEMPORARY: &str = "store.json.tmp";
    pub(crate) const LOCK: &str = "store.lock";
    pub(crate) const BALLAST: &str = "ballast";
    pub(crate) const CATALOG: &str = "catalog.tadb";
    pub(crate) const CATALOG_WAL: &str = "catalog.tadb-wal";
    pub(crate) const CATALOG_SHM: &str = "catalog.tadb-shm";
    pub(crate) const CATALOG_JOURNAL: &str = "catalog.tadb-journal";
    pub(crate) const CATALOG_REBUILD: &str = "catalog.rebuild.tadb";
    pub(crate) const CATALOG_OLD: &str = "catalog.old.tadb";
    pub(crate) const SEGMENTS: &str = "segments";
    /// Where the cold directory is.
    pub(crate) const COLD: &str = "cold.json";
    pub(crate) const COLD_TEMPORARY: &str = "cold.json.tmp";
    /// In the cold directory: whose it is.
    pub(crate) const COLD_MARK: &str = "tensoratom-cold.json";
    pub(crate) const COLD_MARK_TEMPORARY: &str = "tensoratom-cold.json.tmp";

    pub(crate) fn segment(id: u64) -> String {
        format!("{SEGMENTS}/{}", segment_leaf(id))
    }

    /// The name of a segment in the cold directory.
    pub(crate) fn segment_leaf(id: u64) -> String {
        format!("{id:08}.seg")
    }

    pub(crate) fn lease(id: u64) -> String {
        format!("{SEGMENTS}/{id:08}.lease")
    }

    /// The id in a segment's file name (without directory), if it is one.
    pub(crate) fn parse_segment(leaf: &str) -> Option<u64> {
        parse_number(leaf.strip_suffix(".seg")?)
    }

    /// The id in the name of a lease (without directory), if it is one.
    pub(crate) fn parse_lease(leaf: &str) -> Option<u64> {
        parse_number(leaf.strip_suffix(".lease")?)
    }

    fn parse_number(digits: &str) -> Option<u64> {
        let id: u64 = digits.parse().ok()?;
        // Far below what the catalog can number, so that there is always a next one.
        (digits.len() >= 8 && (1..1 << 48).contains(&id) && format!("{id:08}") == digits).then_some(id)
    }
}

/// Bytes at the start of a segment that hold its header and nothing else.
pub(crate) const SEGMENT_HEADER_AREA: u64 = 64 * 1024;
/// Records, small payloads and chunk tables start at multiples of this.
pub(crate) const ALIGN_SMALL: u64 = 64;
/// Payloads of at least [`ALIGN_LARGE_FROM`] bytes start at multiples of this.
pub(crate) const ALIGN_LARGE: u64 = 4096;
/// See [`ALIGN_LARGE`].
pub(crate) const ALIGN_LARGE_FROM: u64 = 64 * 1024;
/// Largest offset in a segment; keeps `offset + length` far from overflow.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 50;
/// Bounds of the chunk size, a power of two.
pub(crate) const CHUNK_BYTES_MIN: u32 = 4 * 1024;
/// See [`CHUNK_BYTES_MIN`].
pub(crate) const CHUNK_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Largest encoding text, and largest metadata of an atom, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;
/// Largest record header: fixed part, 64 dimensions, the longest key, the longest encoding.
pub(crate) const RECORD_HEADER_BYTES_MAX: usize = RecordHeaderBytes::LEN + 64 * 8 + 1024 + TEXT_BYTES_MAX;

/// Byte ranges of the lease file that are locked: the owner that appends, and everyone who reads.
pub(crate) const LEASE_WRITER: std::ops::Range<u64> = 0..1;
/// See [`LEASE_WRITER`].
pub(crate) const LEASE_READER: std::ops::Range<u64> = 1..2;

/// Byte of the lock file held by whoever reclaims space.
pub(crate) const COLLECTOR: std::ops::Range<u64> = 2..3;

pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"TATOMSEG";
pub(crate) const RECORD_MAGIC: [u8; 8] = *b"TATOMREC";
pub(crate) const FOOTER_MAGIC: [u8; 8] = *b"TATOMIDX";
pub(crate) const TRAILER_MAGIC: [u8; 8] = *b"TATOMEND";
pub(crate) const COMPANION_MAGIC: [u8; 8] = *b"TATOMINT";

/// Last eight bytes of each catalog page: a CRC-32 of the page before them and its number, then this tag.
pub(crate) const PAGE_TAG: [u8; 4] = *b"TAP1";

/// Declares a fixed structure: alignment 1, little-endian, no padding, with a table of its fields.
macro_rules! layout {
    ($(#[$doc:meta])* $name:ident, $bytes:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub(crate) struct $name { $($(#[$field_doc])* pub(crate) $field: $type,)* }

        impl $name {
            pub(crate) const LEN: usize = $bytes;

            /// Name, offset and size of each field, as `FORMAT.md` must show them.
            #[cfg(test)]
            pub(crate) const FIELDS: &'static [(&'static str, usize, usize)] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field), size_of::<$type>()),)*];
        }

        const _: () = assert!(size_of::<$name>() == $bytes);
    };
}

layout! {
    /// Start of a segment; the rest of the header area is zero.
    SegmentHeaderBytes, 128 {
        magic: [u8; 8],
        crc32: U32,
        version: U32,
        store_uuid: [u8; 16],
        segment: U64,
        salt: U64,
        capacity_bytes: U64,
        created_us: U64,
        chunk_bytes: U32,
        tier: u8,
        reserved: [u8; 59],
    }
}

layout! {
    /// Fixed part of a record header; shape, key and encoding follow it.
    RecordHeaderBytes, 192 {
        magic: [u8; 8],
        crc32: U32,
        header_bytes: U32,
        salt: U64,
        segment: U64,
        record_offset: U64,
        extent_bytes: U64,
        data_offset: U64,
        stored_bytes: U64,
        raw_bytes: U64,
        table_offset: U64,
        chunk_count: U32,
        chunk_bytes: U32,
        table_crc32: U32,
        kind: u8,
        codec: u8,
        dtype: u8,
        rank: u8,
        digest: [u8; 32],
        created_us: U64,
        namespace: U32,
        key_bytes: U16,
        key_kind: u8,
        version: u8,
        encoding_bytes: U32,
        base: [u8; 32],
        reserved: [u8; 12],
    }
}

layout! {
    /// One row of a chunk table.
    ChunkEntryBytes, 8 {
        stored_bytes: U32,
        crc32: U32,
    }
}

layout! {
    /// Start of a sealed segment's footer; the entries follow it.
    FooterHeaderBytes, 32 {
        magic: [u8; 8],
        crc32: U32,
        count: U32,
        records_end: U64,
        salt: U64,
    }
}

layout! {
    /// One record in a footer.
    FooterEntryBytes, 24 {
        offset: U64,
        extent_bytes: U64,
        kind: u8,
        reserved: [u8; 7],
    }
}

layout! {
    /// Last bytes of a sealed segment.
    TrailerBytes, 32 {
        magic: [u8; 8],
        crc32: U32,
        reserved: U32,
        footer_offset: U64,
        salt: U64,
    }
}

layout! {
    /// Start of a commit record's payload; copies and operations follow it.
    CommitHeaderBytes, 80 {
        version: U32,
        /// 1 when the commit was made durable before it was acknowledged.
        durable: U32,
        lsn: U64,
        time_us: U64,
        id: [u8; 16],
        previous_id: [u8; 16],
        copy_count: U32,
        operation_count: U32,
        /// LSN of the first commit that was not known to be durable when this one was made.
        group_lsn: U64,
        reserved: U64,
    }
}

layout! {
    /// One new copy of a payload in a commit record.
    CommitCopyBytes, 88 {
        digest: [u8; 32],
        raw_bytes: U64,
        segment: U64,
        offset: U64,
        extent_bytes: U64,
        stored_bytes: U64,
        namespace: U32,
        codec: u8,
        tier: u8,
        /// 1 when older copies of the payload are given up.
        replaces: u8,
        reserved: [u8; 9],
    }
}

layout! {
    /// Start of a companion; its columns follow.
    CompanionHeaderBytes, 64 {
        magic: [u8; 8],
        version: U32,
        dim: U32,
        rows: U64,
        reserved: [u8; 40],
    }
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordKind {
    /// A tensor payload.
    Payload = 1,
    /// What one commit changed; replaying these rebuilds the catalog.
    Commit = 2,
}

impl RecordKind {
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(RecordKind::Payload),
            2 => Some(RecordKind::Commit),
            _ => None,
        }
    }
}

/// How the bytes of a chunk are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    Raw = 1,
    /// Each chunk split into byte planes where that helps, then an LZ4 block.
    Lz4 = 2,
    /// Each chunk split into byte planes where that helps, then coded by Zstandard.
    Zstd = 3,
    /// Each chunk of floats split into planes: exponents are entropy-coded, mantissas stored as they are.
    Float = 4,
    /// What differs from another payload of the same length, its base: each chunk of the exclusive or of both, in planes
    /// as for [`Codec::Float`].
    Delta = 5,
}

impl Codec {
    /// Every codec, in the order of the numbers.
    pub const ALL: &'static [Codec] = &[Codec::Raw, Codec::Lz4, Codec::Zstd, Codec::Float, Codec::Delta];

    /// The number in the format; never 0.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Inverse of [`Codec::number`].
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Codec::Raw),
            2 => Some(Codec::Lz4),
            3 => Some(Codec::Zstd),
            4 => Some(Codec::Float),
            5 => Some(Codec::Delta),
            _ => None,
        }
    }

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Raw => "raw",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
            Codec::Float => "float",
            Codec::Delta => "delta",
        }
    }
}

/// Where a copy of a payload lives, by how often it is expected to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Tier {
    /// Raw on local disk and kept in memory.
    Hot = 1,
    /// Raw on local disk.
    Warm = 2,
    /// Coded, in the store's cold directory if it has one, which may be on another disk.
    Cold = 3,
}

impl Tier {
    /// The number in the format; never 0.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Inverse of [`Tier::number`].
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Tier::Hot),
            2 => Some(Tier::Warm),
            3 => Some(Tier::Cold),
            _ => None,
        }
    }

    /// Inverse of [`Tier::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Tier::Hot, Tier::Warm, Tier::Cold].into_iter().find(|tier| tier.name() == name)
    }

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Hot => "hot",
            Tier::Warm => "warm",
            Tier::Cold => "cold",
        }
    }
}

/// The next multiple of `align` (a power of two) at or after `offset`; saturates.
pub(crate) const fn align_up(offset: u64, align: u64) -> u64 {
    offset.saturating_add(align - 1) & !(align - 1)
}

const _: () = {
    assert!(SEGMENT_HEADER_AREA.is_multiple_of(ALIGN_LARGE));
    assert!(ALIGN_LARGE.is_multiple_of(ALIGN_SMALL));
    assert!(SegmentHeaderBytes::LEN as u64 <= SEGMENT_HEADER_AREA);
    assert!(RecordHeaderBytes::LEN.is_multiple_of(64));
    assert!(CHUNK_BYTES_MIN.is_power_of_two() && CHUNK_BYTES_MAX.is_power_of_two());
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::{DType, PAYLOAD_BYTES_MAX, RANK_MAX};
    use crate::key::NAME_BYTES_MAX;

    const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../FORMAT.md"));

    type Fields = Vec<(String, usize, usize)>;

    /// Rows of the table under a heading that names a structure.
    fn documented(structure: &str) -> Fields {
        let heading = format!("### `{structure}`");
        let section = DOCUMENT.split(&heading).nth(1).unwrap_or_else(|| panic!("FORMAT.md has no section {heading}"));
        let section = section.split("\n#").next().unwrap();
        let row = |line: &str| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            Some((cells.get(3)?.to_string(), cells.get(1)?.parse().ok()?, cells.get(2)?.parse().ok()?))
        };
        section.lines().filter_map(row).collect()
    }

    // The document is what strangers write readers from. A field that moved in the code only would make it lie.
    #[test]
    fn every_structure_is_documented_as_it_is() {
        type Structure<'a> = (&'a str, usize, &'a [(&'a str, usize, usize)]);
        let structures: [Structure<'_>; 9] = [
            ("SegmentHeaderBytes", SegmentHeaderBytes::LEN, SegmentHeaderBytes::FIELDS),
            ("RecordHeaderBytes", RecordHeaderBytes::LEN, RecordHeaderBytes::FIELDS),
            ("ChunkEntryBytes", ChunkEntryBytes::LEN, ChunkEntryBytes::FIELDS),
            ("FooterHeaderBytes", FooterHeaderBytes::LEN, FooterHeaderBytes::FIELDS),
            ("FooterEntryBytes", FooterEntryBytes::LEN, FooterEntryBytes::FIELDS),
            ("TrailerBytes", TrailerBytes::LEN, TrailerBytes::FIELDS),
            ("CommitHeaderBytes", CommitHeaderBytes::LEN, CommitHeaderBytes::FIELDS),
            ("CommitCopyBytes", CommitCopyBytes::LEN, CommitCopyBytes::FIELDS),
            ("CompanionHeaderBytes", CompanionHeaderBytes::LEN, CompanionHeaderBytes::FIELDS),
        ];
        for (name, len, fields) in structures {
            let fields: Fields = fields.iter().map(|(name, offset, size)| (name.to_string(), *offset, *size)).collect();
            assert_eq!(documented(name), fields, "{name}: FORMAT.md and format.rs differ; correct the document");
            let (_, offset, size) = fields.last().unwrap();
            assert_eq!(offset + size, len, "{name}");
        }
    }

    #[test]
    fn constants_and_numbers_are_documented_as_they_are() {
        let constants = [
            ("SEGMENT_HEADER_AREA", SEGMENT_HEADER_AREA),
            ("ALIGN_SMALL", ALIGN_SMALL),
            ("ALIGN_LARGE", ALIGN_LARGE),
            ("ALIGN_LARGE_FROM", ALIGN_LARGE_FROM),
            ("CHUNK_BYTES_MIN", u64::from(CHUNK_BYTES_MIN)),
            ("CHUNK_BYTES_MAX", u64::from(CHUNK_BYTES_MAX)),
            ("SEGMENT_BYTES_MAX", SEGMENT_BYTES_MAX),
            ("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX),
            ("TEXT_BYTES_MAX", TEXT_BYTES_MAX as u64),
            ("NAME_BYTES_MAX", NAME_BYTES_MAX as u64),
            ("RANK_MAX", RANK_MAX as u64),
        ];
        for (name, value) in constants {
            assert!(DOCUMENT.contains(&format!("| {name} | {value} |")), "FORMAT.md: {name} is {value}");
        }
        let flowing = DOCUMENT.replace('\n', " ");
        for dtype in DType::ALL {
            assert!(flowing.contains(&format!("{} {}", dtype.name(), dtype.number())), "FORMAT.md: {dtype}");
        }
        for magic in [SEGMENT_MAGIC, RECORD_MAGIC, FOOTER_MAGIC, TRAILER_MAGIC, COMPANION_MAGIC] {
            assert!(DOCUMENT.contains(std::str::from_utf8(&magic).unwrap()));
        }
        for &metric in crate::kernels::Metric::ALL {
            assert!(flowing.contains(&format!("{} {}", metric.name(), metric.number())), "FORMAT.md: {metric}");
        }
        for tier in [Tier::Hot, Tier::Warm, Tier::Cold] {
            assert_eq!(Tier::from_number(tier.number()), Some(tier));
            assert!(flowing.contains(&format!("{} {}", tier.name(), tier.number())));
        }
        assert_eq!((Tier::from_number(0), Codec::from_number(0), RecordKind::from_number(0)), (None, None, None));
    }

    #[test]
    fn segment_names_round_trip_and_strangers_are_ignored() {
        for id in [1, 42, 99_999_999, 123_456_789_012] {
            let name = names::segment(id);
            assert_eq!(names::parse_segment(name.strip_prefix("segments/").unwrap()), Some(id));
        }
        for stranger in ["00000000.seg", "1.seg", "+0000001.seg", "00000001.lease", "0000000001.seg", "x.seg", ".seg"] {
            assert_eq!(names::parse_segment(stranger), None, "{stranger}");
        }
    }
}
