//! Records: the header in front of every payload and the chunk table behind it, built and parsed here and nowhere
//! else. Pure; no I/O. Layout of a record:
//! `header | pad | payload (contiguous) | pad | chunk table | pad`, the payload at 64 B, large ones at 4 KiB.
//! The table comes last because a stream's length is known last.
#![deny(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use zerocopy::{FromBytes, IntoBytes};

use crate::digest::Digest;
use crate::dtype::{DType, Encoding, PAYLOAD_BYTES_MAX, RANK_MAX};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{
    ALIGN_LARGE, ALIGN_LARGE_FROM, ALIGN_SMALL, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, ChunkEntryBytes, Codec,
    RECORD_HEADER_BYTES_MAX, RECORD_MAGIC, RECORD_VERSION_DELTA, RecordHeaderBytes, RecordKind, SEGMENT_BYTES_MAX,
    TEXT_BYTES_MAX, align_up,
};
use crate::key::{Key, KeyRef};

const KEY_NONE: u8 = 1;
const KEY_INT: u8 = 2;
const KEY_NAME: u8 = 3;

/// What a record says about its payload, so that a catalog can be rebuilt from records alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Description {
    pub(crate) kind: RecordKind,
    pub(crate) namespace: u32,
    /// The key the payload was first stored under; none for commit records.
    pub(crate) key: Option<Key>,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    pub(crate) encoding: Encoding,
    pub(crate) created_us: u64,
}

impl Description {
    /// Description of a commit record's own payload.
    pub(crate) fn commit(len_bytes: u64, created_us: u64) -> Self {
        Description {
            kind: RecordKind::Commit,
            namespace: 0,
            key: None,
            dtype: DType::U8,
            shape: vec![len_bytes],
            encoding: Encoding::Plain,
            created_us,
        }
    }

    /// Length of the header that [`Record::build`] will make.
    pub(crate) fn header_bytes(&self) -> Result<u64> {
        let key_len = match &self.key {
            None => 0,
            Some(Key::Int(_)) => 8,
            Some(Key::Name(name)) => name.len(),
        };
        let parts = [RecordHeaderBytes::LEN, self.shape.len().saturating_mul(8), key_len, self.encoding_text()?.len()];
        Ok(u64::try_from(parts.iter().fold(0_usize, |sum, &n| sum.saturating_add(n))).unwrap_or(u64::MAX))
    }

    /// The encoding as stored: JSON, or nothing for plain.
    fn encoding_text(&self) -> Result<String> {
        encoding_to_text(&self.encoding)
    }
}

/// JSON of an encoding; empty for plain.
pub(crate) fn encoding_to_text(encoding: &Encoding) -> Result<String> {
    if encoding.is_plain() {
        return Ok(String::new());
    }
    if let Encoding::Quantized { scale, .. } = encoding
        && !scale.iter().all(|scale| scale.is_finite())
    {
        // JSON has no such numbers: the text could be written and never be read again.
        return Err(Error::new(ErrorKind::InvalidArgument, "a scale that is not a finite number"));
    }
    let text = serde_json::to_string(encoding)
        .map_err(|e| Error::new(ErrorKind::InvalidArgument, "the encoding cannot be written").source_box(e.into()))?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("an encoding of {} bytes is too long", text.len()))
            .hint("store long scale vectors as atoms of their own"));
    }
    Ok(text)
}

/// Inverse of [`encoding_to_text`].
pub(crate) fn encoding_from_text(text: &str) -> Result<Encoding> {
    if text.is_empty() {
        return Ok(Encoding::Plain);
    }
    serde_json::from_str(text)
        .map_err(|e| Error::new(ErrorKind::NewerFormat, "an encoding this version does not know").source_box(e.into()))
}

/// Where the parts of a record lie, and what must be found there. Holding one means the header's bytes were checked
/// and every offset lies inside the limit given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) description: Description,
    pub(crate) offset: u64,
    /// Bytes from the start of this record to the start of the next.
    pub(crate) extent_bytes: u64,
    pub(crate) header_bytes: u64,
    pub(crate) data_offset: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) table_offset: u64,
    pub(crate) chunk_bytes: u32,
    pub(crate) chunk_count: u32,
    pub(crate) table_crc32: u32,
    pub(crate) codec: Codec,
    pub(crate) digest: Digest,
    /// Digest of the payload this one is coded against; with codec delta, and only then.
    pub(crate) base: Option<Digest>,
}

/// Checksum and stored length of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkEntry {
    pub(crate) stored_bytes: u32,
    pub(crate) crc32: u32,
}

/// Offset of the payload of a record that starts at `record_offset`.
pub(crate) fn data_offset(record_offset: u64, header_bytes: u64, large: bool) -> u64 {
    align_up(record_offset.saturating_add(header_bytes), if large { ALIGN_LARGE } else { ALIGN_SMALL })
}

/// True when a payload of this length is aligned to [`ALIGN_LARGE`].
pub(crate) fn is_large(raw_bytes: u64) -> bool {
    raw_bytes >= ALIGN_LARGE_FROM
}

/// Offset of the chunk table behind a payload.
pub(crate) fn table_offset(data_offset: u64, stored_bytes: u64) -> u64 {
    align_up(data_offset.saturating_add(stored_bytes), ALIGN_SMALL)
}

/// Offset just behind a record.
pub(crate) fn record_end(table_offset: u64, chunk_count: u32) -> u64 {
    align_up(table_offset.saturating_add(table_bytes(chunk_count)), ALIGN_SMALL)
}

/// Bytes of a chunk table.
pub(crate) fn table_bytes(chunk_count: u32) -> u64 {
    u64::from(chunk_count).saturating_mul(8)
}

/// Chunks of a payload, or none if there are more than the format can count.
pub(crate) fn chunk_count(raw_bytes: u64, chunk_bytes: u32) -> Option<u32> {
    u32::try_from(raw_bytes.div_ceil(u64::from(chunk_bytes))).ok()
}

/// Bytes of a record with a payload of this length, at most: with every alignment gap at its largest.
pub(crate) fn extent_bound(header_bytes: u64, raw_bytes: u64, chunk_bytes: u32) -> u64 {
    let chunks = chunk_count(raw_bytes, chunk_bytes).unwrap_or(u32::MAX);
    header_bytes
        .saturating_add(ALIGN_LARGE)
        .saturating_add(raw_bytes)
        .saturating_add(table_bytes(chunks))
        .saturating_add(128)
}

/// The chunk table as stored.
pub(crate) fn build_table(table: &[ChunkEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(table.len().saturating_mul(ChunkEntryBytes::LEN));
    for entry in table {
        let row = ChunkEntryBytes { stored_bytes: entry.stored_bytes.into(), crc32: entry.crc32.into() };
        bytes.extend_from_slice(row.as_bytes());
    }
    bytes
}

impl Record {
    /// The header as stored.
    pub(crate) fn build(&self, segment: u64, salt: u64) -> Result<Vec<u8>> {
        let too_big = |what: &str| Error::internal(format!("record header: {what} does not fit its field"));
        let d = &self.description;
        let key_number;
        let (key_kind, key): (u8, &[u8]) = match &d.key {
            None => (KEY_NONE, &[]),
            Some(Key::Int(number)) => {
                key_number = number.to_le_bytes();
                (KEY_INT, &key_number)
            }
            Some(Key::Name(name)) => (KEY_NAME, name.as_bytes()),
        };
        let encoding = d.encoding_text()?;
        let mut bytes = vec![0; RecordHeaderBytes::LEN];
        d.shape.iter().for_each(|dim| bytes.extend_from_slice(&dim.to_le_bytes()));
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(encoding.as_bytes());
        let header_bytes = u32::try_from(bytes.len()).map_err(|_| too_big("header"))?;
        let fixed = RecordHeaderBytes {
            magic: RECORD_MAGIC,
            crc32: 0.into(),
            header_bytes: header_bytes.into(),
            salt: salt.into(),
            segment: segment.into(),
            record_offset: self.offset.into(),
            extent_bytes: self.extent_bytes.into(),
            data_offset: self.data_offset.into(),
            stored_bytes: self.stored_bytes.into(),
            raw_bytes: self.raw_bytes.into(),
            table_offset: self.table_offset.into(),
            chunk_count: self.chunk_count.into(),
            chunk_bytes: self.chunk_bytes.into(),
            table_crc32: self.table_crc32.into(),
            kind: match d.kind {
                RecordKind::Payload => 1,
                RecordKind::Commit => 2,
            },
            codec: self.codec.number(),
            dtype: d.dtype.number(),
            rank: u8::try_from(d.shape.len()).map_err(|_| too_big("rank"))?,
            digest: self.digest.0,
            created_us: d.created_us.into(),
            namespace: d.namespace.into(),
            key_bytes: u16::try_from(key.len()).map_err(|_| too_big("key"))?.into(),
            key_kind,
            version: if self.base.is_some() { RECORD_VERSION_DELTA } else { 1 },
            encoding_bytes: u32::try_from(encoding.len()).map_err(|_| too_big("encoding"))?.into(),
            base: self.base.unwrap_or(Digest([0; 32])).0,
            reserved: [0; 12],
        };
        if let Some(head) = bytes.get_mut(..RecordHeaderBytes::LEN) {
            head.copy_from_slice(fixed.as_bytes());
        }
        let crc = header_checksum(&bytes);
        if let Some(field) = bytes.get_mut(8..12) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Length of the header that starts with these bytes, if it looks like one: what must be read to parse it.
    pub(crate) fn header_len(first: &[u8]) -> Option<usize> {
        let (fixed, _) = RecordHeaderBytes::ref_from_prefix(first).ok()?;
        let len = usize::try_from(fixed.header_bytes.get()).ok()?;
        (fixed.magic == RECORD_MAGIC && (RecordHeaderBytes::LEN..=RECORD_HEADER_BYTES_MAX).contains(&len))
            .then_some(len)
    }

    /// Parses the header at `offset` of a segment. `bytes` starts there and holds at least the whole header;
    /// no part of the record may lie behind `limit`, the end of what may exist.
    pub(crate) fn parse(bytes: &[u8], segment: u64, salt: u64, offset: u64, limit: u64) -> Result<Self> {
        let damaged = |what: &str| Error::corrupt(format!("record header: {what}")).segment(segment).offset(offset);
        let len = Self::header_len(bytes).ok_or_else(|| damaged("the magic number or the length is wrong"))?;
        let header = bytes.get(..len).ok_or_else(|| damaged("cut short"))?;
        let (fixed, rest) = RecordHeaderBytes::ref_from_prefix(header).map_err(|_| damaged("cut short"))?;
        if fixed.crc32.get() != header_checksum(header) {
            return Err(damaged("differs from its checksum"));
        }
        if fixed.salt.get() != salt || fixed.segment.get() != segment || fixed.record_offset.get() != offset {
            return Err(damaged("belongs to another place"));
        }
        if fixed.version > RECORD_VERSION_DELTA {
            return Err(Error::new(ErrorKind::NewerFormat, format!("record format {} is newer", fixed.version))
                .segment(segment)
                .offset(offset));
        }
        let record = Self::checked_layout(fixed, offset, limit).map_err(damaged)?;
        let description = Self::checked_description(fixed, rest).map_err(|what| damaged(&what))?;
        Ok(Record { description, ..record })
    }

    /// Checks lengths and offsets against each other and the limit, so that no reader has to.
    fn checked_layout(fixed: &RecordHeaderBytes, offset: u64, limit: u64) -> Result<Self, &'static str> {
        let (raw_bytes, stored_bytes) = (fixed.raw_bytes.get(), fixed.stored_bytes.get());
        let chunk_bytes = fixed.chunk_bytes.get();
        if !(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&chunk_bytes) || !chunk_bytes.is_power_of_two() {
            return Err("impossible chunk size");
        }
        if raw_bytes > PAYLOAD_BYTES_MAX || stored_bytes > PAYLOAD_BYTES_MAX || limit > SEGMENT_BYTES_MAX {
            return Err("impossible length");
        }
        let chunks = fixed.chunk_count.get();
        if chunk_count(raw_bytes, chunk_bytes) != Some(chunks) {
            return Err("the number of chunks does not fit the length");
        }
        let codec = Codec::from_number(fixed.codec).ok_or("unknown codec")?;
        if codec == Codec::Raw && raw_bytes != stored_bytes {
            return Err("a raw payload is stored with another length");
        }
        let header_bytes = u64::from(fixed.header_bytes.get());
        let data = fixed.data_offset.get();
        let candidates = [data_offset(offset, header_bytes, false), data_offset(offset, header_bytes, true)];
        let table = table_offset(data, stored_bytes);
        let end = record_end(table, chunks);
        if !candidates.contains(&data) || fixed.table_offset.get() != table {
            return Err("payload or table lie at an impossible offset");
        }
        // Bounds every later `offset + length` inside this record.
        if end > limit || offset.checked_add(fixed.extent_bytes.get()) != Some(end) {
            return Err("reaches past the end of the segment");
        }
        let base = Some(Digest(fixed.base)).filter(|base| base.0 != [0; 32]);
        if fixed.reserved != [0; 12] || (fixed.version < RECORD_VERSION_DELTA && base.is_some()) {
            return Err("reserved bytes are used");
        }
        if (codec == Codec::Delta) != base.is_some() || fixed.base == fixed.digest {
            return Err("codec and base do not belong together");
        }
        Ok(Record {
            description: Description::commit(0, 0),
            offset,
            extent_bytes: fixed.extent_bytes.get(),
            header_bytes,
            data_offset: data,
            stored_bytes,
            raw_bytes,
            table_offset: table,
            chunk_bytes,
            chunk_count: chunks,
            table_crc32: fixed.table_crc32.get(),
            codec,
            digest: Digest(fixed.digest),
            base,
        })
    }

    fn checked_description(fixed: &RecordHeaderBytes, rest: &[u8]) -> Result<Description, String> {
        let rank = usize::from(fixed.rank);
        if rank > RANK_MAX {
            return Err("too many dimensions".into());
        }
        let cut = || "cut short".to_owned();
        let (dims, rest) = rest.split_at_checked(rank.saturating_mul(8)).ok_or_else(cut)?;
        let (key, rest) = rest.split_at_checked(usize::from(fixed.key_bytes.get())).ok_or_else(cut)?;
        let encoding_len = usize::try_from(fixed.encoding_bytes.get()).map_err(|e| e.to_string())?;
        if encoding_len != rest.len() || encoding_len > TEXT_BYTES_MAX {
            return Err("the encoding has another length".into());
        }
        let shape =
            dims.chunks_exact(8).filter_map(|d| d.try_into().ok()).map(u64::from_le_bytes).collect::<Vec<u64>>();
        let key = match fixed.key_kind {
            KEY_NONE if key.is_empty() => None,
            KEY_INT => Some(Key::Int(i64::from_le_bytes(key.try_into().map_err(|_| "bad integer key".to_owned())?))),
            KEY_NAME => {
                let name = std::str::from_utf8(key).map_err(|_| "a key that is not UTF-8".to_owned())?;
                KeyRef::Name(name).check().map_err(|e| e.what().to_owned())?;
                Some(Key::Name(name.into()))
            }
            _ => return Err("unknown kind of key".into()),
        };
        let text = std::str::from_utf8(rest).map_err(|_| "an encoding that is not UTF-8".to_owned())?;
        Ok(Description {
            kind: RecordKind::from_number(fixed.kind).ok_or("unknown kind of record")?,
            namespace: fixed.namespace.get(),
            key,
            dtype: DType::from_number(fixed.dtype).ok_or("unknown dtype")?,
            shape,
            encoding: encoding_from_text(text).map_err(|e| e.to_string())?,
            created_us: fixed.created_us.get(),
        })
    }

    /// Parses the chunk table that belongs to this record.
    pub(crate) fn parse_table(&self, segment: u64, bytes: &[u8]) -> Result<Box<[ChunkEntry]>> {
        let damaged =
            |what: &str| Error::corrupt(format!("chunk table: {what}")).segment(segment).offset(self.table_offset);
        if u64::try_from(bytes.len()) != Ok(table_bytes(self.chunk_count)) {
            return Err(damaged("has another length"));
        }
        if crc32fast::hash(bytes) != self.table_crc32 {
            return Err(damaged("differs from its checksum"));
        }
        let rows = <[ChunkEntryBytes]>::ref_from_bytes(bytes).map_err(|_| damaged("has another length"))?;
        let table: Box<[ChunkEntry]> = rows
            .iter()
            .map(|row| ChunkEntry { stored_bytes: row.stored_bytes.get(), crc32: row.crc32.get() })
            .collect();
        let stored = table.iter().fold(0_u64, |sum, row| sum.saturating_add(u64::from(row.stored_bytes)));
        // Bounds what a reader allocates for a chunk.
        let lengths_fit = table.iter().zip(0_u64..).all(|(row, i)| {
            let (stored, raw) = (u64::from(row.stored_bytes), self.raw_chunk_bytes(i));
            if self.codec == Codec::Raw { stored == raw } else { (1..=raw.saturating_add(1)).contains(&stored) }
        });
        if stored != self.stored_bytes || !lengths_fit {
            return Err(damaged("its lengths do not add up"));
        }
        Ok(table)
    }

    /// Raw length of chunk `index`: the chunk size, or what is left for the last one.
    pub(crate) fn raw_chunk_bytes(&self, index: u64) -> u64 {
        let start = index.saturating_mul(u64::from(self.chunk_bytes));
        self.raw_bytes.saturating_sub(start).min(u64::from(self.chunk_bytes))
    }

    /// Offset just behind this record.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.extent_bytes)
    }
}

/// CRC-32 of a header behind its checksum field.
fn header_checksum(header: &[u8]) -> u32 {
    crc32fast::hash(header.get(12..).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::as_conversions)] // plain numbers of the tests' own
mod tests {
    use super::*;

    fn sample(key: Option<Key>, encoding: Encoding) -> Record {
        let description = Description {
            kind: RecordKind::Payload,
            namespace: 9,
            key,
            dtype: DType::F32,
            shape: vec![3, 100],
            encoding,
            created_us: 77,
        };
        let header_bytes = description.header_bytes().unwrap();
        let data = data_offset(65_536, header_bytes, false);
        let table = table_offset(data, 1200);
        let entry = ChunkEntry { stored_bytes: 1200, crc32: 5 };
        Record {
            description,
            offset: 65_536,
            extent_bytes: record_end(table, 1) - 65_536,
            header_bytes,
            data_offset: data,
            stored_bytes: 1200,
            raw_bytes: 1200,
            table_offset: table,
            chunk_bytes: 1 << 18,
            chunk_count: 1,
            table_crc32: crc32fast::hash(&build_table(&[entry])),
            codec: Codec::Raw,
            digest: Digest([3; 32]),
            base: None,
        }
    }

    fn parse(bytes: &[u8]) -> Result<Record> {
        Record::parse(bytes, 4, 0xabcd, 65_536, 1 << 20)
    }

    #[test]
    fn round_trip_of_every_kind_of_key() {
        let quantized = Encoding::Quantized { block: 0, scale: vec![0.1], zero_point: vec![] };
        for (key, encoding) in [
            (None, Encoding::Plain),
            (Some(Key::from("layer/0/weight")), Encoding::Plain),
            (Some(Key::from(i64::MIN)), quantized),
        ] {
            let record = sample(key, encoding);
            let bytes = record.build(4, 0xabcd).unwrap();
            assert_eq!(bytes.len() as u64, record.header_bytes);
            assert_eq!(parse(&bytes).unwrap(), record);
        }
    }

    // A reader that does not look for a base would hand out differences as if they were the payload.
    #[test]
    fn a_base_and_the_codec_that_needs_it_come_together_and_are_newer_than_other_records() {
        let delta = Record { codec: Codec::Delta, base: Some(Digest([8; 32])), ..sample(None, Encoding::Plain) };
        let bytes = delta.build(4, 0xabcd).unwrap();
        assert_eq!(parse(&bytes).unwrap(), delta);
        assert_eq!((bytes[143], sample(None, Encoding::Plain).build(4, 0xabcd).unwrap()[143]), (2, 1));
        for wrong in [
            Record { base: None, ..delta.clone() },
            Record { codec: Codec::Float, ..delta.clone() },
            Record { base: Some(delta.digest), ..delta },
        ] {
            assert_eq!(parse(&wrong.build(4, 0xabcd).unwrap()).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let bytes = sample(Some(Key::from("k")), Encoding::Plain).build(4, 0xabcd).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    // A record copied to another offset, segment or store has a correct checksum and must still be refused.
    #[test]
    fn a_record_is_bound_to_its_place() {
        let bytes = sample(None, Encoding::Plain).build(4, 0xabcd).unwrap();
        assert!(Record::parse(&bytes, 5, 0xabcd, 65_536, 1 << 20).is_err());
        assert!(Record::parse(&bytes, 4, 0xabce, 65_536, 1 << 20).is_err());
        assert!(Record::parse(&bytes, 4, 0xabcd, 65_600, 1 << 20).is_err());
        assert!(Record::parse(&bytes, 4, 0xabcd, 65_536, 66_000).is_err(), "past the limit");
    }

    // Fields with a correct checksum but impossible values: what a hostile writer would send.
    #[test]
    fn impossible_values_are_refused_even_with_a_correct_checksum() {
        type Change = fn(&mut Record);
        let changes: [(&str, Change); 8] = [
            ("raw length", |r| r.raw_bytes = u64::MAX),
            ("stored length", |r| r.stored_bytes = 1201),
            ("chunk size", |r| r.chunk_bytes = 3 << 16),
            ("chunk size zero", |r| r.chunk_bytes = 0),
            ("chunk count", |r| r.chunk_count = 2),
            ("data offset", |r| r.data_offset += 64),
            ("table offset", |r| r.table_offset = u64::MAX - 7),
            ("extent", |r| r.extent_bytes = u64::MAX),
        ];
        for (what, change) in changes {
            let mut record = sample(None, Encoding::Plain);
            change(&mut record);
            assert!(parse(&record.build(4, 0xabcd).unwrap()).is_err(), "{what}");
        }
    }

    #[test]
    fn a_table_must_match_in_checksum_and_lengths() {
        let record = sample(None, Encoding::Plain);
        let good = build_table(&[ChunkEntry { stored_bytes: 1200, crc32: 5 }]);
        assert_eq!(record.parse_table(4, &good).unwrap().len(), 1);
        for bit in 0..good.len() * 8 {
            let mut damaged = good.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(record.parse_table(4, &damaged).is_err());
        }
        let mut lying = record.clone();
        let short = build_table(&[ChunkEntry { stored_bytes: 1199, crc32: 5 }]);
        lying.table_crc32 = crc32fast::hash(&short);
        assert!(lying.parse_table(4, &short).is_err());
    }
}
