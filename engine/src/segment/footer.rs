//! The footer of a sealed segment: an index of its records, found from the end of the file. Building and parsing are
//! pure; reading takes a file.

use zerocopy::{FromBytes, IntoBytes};

use crate::error::{Error, Result};
use crate::file::{File, read_exact_at};
use crate::format::{
    ALIGN_SMALL, FOOTER_MAGIC, FooterEntryBytes, FooterHeaderBytes, RecordKind, SEGMENT_HEADER_AREA, TRAILER_MAGIC,
    TrailerBytes, align_up,
};

/// Where one record of a segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FooterEntry {
    pub(crate) offset: u64,
    pub(crate) extent_bytes: u64,
    pub(crate) kind: RecordKind,
}

/// What a sealed segment says about its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) entries: Vec<FooterEntry>,
    /// End of the last record, listed or not.
    pub(crate) records_end: u64,
}

/// Footer and trailer as stored, for a footer that starts at `align_up(records_end, 64)`.
pub(super) fn build(entries: &[FooterEntry], records_end: u64, salt: u64) -> Result<Vec<u8>> {
    let mut body = Vec::with_capacity(entries.len() * FooterEntryBytes::LEN);
    for entry in entries {
        let kind = match entry.kind {
            RecordKind::Payload => 1,
            RecordKind::Commit => 2,
        };
        let row = FooterEntryBytes {
            offset: entry.offset.into(),
            extent_bytes: entry.extent_bytes.into(),
            kind,
            reserved: [0; 7],
        };
        body.extend_from_slice(row.as_bytes());
    }
    let count = u32::try_from(entries.len()).map_err(|_| Error::internal("too many records for a footer"))?;
    let mut header = FooterHeaderBytes {
        magic: FOOTER_MAGIC,
        crc32: 0.into(),
        count: count.into(),
        records_end: records_end.into(),
        salt: salt.into(),
    };
    header.crc32 = checksum(&header, &body).into();
    let mut trailer = TrailerBytes {
        magic: TRAILER_MAGIC,
        crc32: 0.into(),
        reserved: 0.into(),
        footer_offset: align_up(records_end, ALIGN_SMALL).into(),
        salt: salt.into(),
    };
    trailer.crc32 = crc32fast::hash(&trailer.as_bytes()[12..]).into();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(&body);
    bytes.extend_from_slice(trailer.as_bytes());
    Ok(bytes)
}

fn checksum(header: &FooterHeaderBytes, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header.as_bytes()[12..]);
    hasher.update(body);
    hasher.finalize()
}

/// Reads the footer of a sealed segment. Fails with `Corrupt` when there is none or it is damaged; the records
/// themselves may be sound all the same.
pub(crate) fn read_footer(file: &dyn File, salt: u64) -> Result<Footer> {
    let damaged = |what: &str| Error::corrupt(format!("segment footer: {what}"));
    let io = |e| Error::io("reading the footer", e);
    let len = file.len().map_err(io)?;
    let trailer_offset = len
        .checked_sub(TrailerBytes::LEN as u64)
        .filter(|&offset| offset >= SEGMENT_HEADER_AREA)
        .ok_or_else(|| damaged("the file is too short"))?;
    let mut bytes = [0; TrailerBytes::LEN];
    read_exact_at(file, &mut bytes, trailer_offset).map_err(io)?;
    let trailer = TrailerBytes::ref_from_bytes(&bytes).map_err(|_| damaged("trailer"))?;
    if trailer.magic != TRAILER_MAGIC || trailer.crc32.get() != crc32fast::hash(&bytes[12..]) {
        return Err(damaged("the trailer is missing or damaged"));
    }
    let footer_offset = trailer.footer_offset.get();
    let footer_len = trailer_offset
        .checked_sub(footer_offset)
        .and_then(|len| usize::try_from(len).ok())
        .filter(|&len| len >= FooterHeaderBytes::LEN && trailer.salt.get() == salt)
        .ok_or_else(|| damaged("the trailer points nowhere"))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(footer_len).map_err(|_| damaged("larger than memory"))?;
    bytes.resize(footer_len, 0);
    read_exact_at(file, &mut bytes, footer_offset).map_err(io)?;
    let (header, body) = FooterHeaderBytes::ref_from_prefix(&bytes).map_err(|_| damaged("cut short"))?;
    if header.magic != FOOTER_MAGIC || header.salt.get() != salt || header.crc32.get() != checksum(header, body) {
        return Err(damaged("differs from its checksum"));
    }
    let rows = <[FooterEntryBytes]>::ref_from_bytes(body).map_err(|_| damaged("has another length"))?;
    if rows.len() as u64 != u64::from(header.count.get()) || header.records_end.get() > footer_offset {
        return Err(damaged("its counts do not fit"));
    }
    let entries = rows.iter().map(|row| {
        let kind = RecordKind::from_number(row.kind).ok_or_else(|| damaged("unknown kind of record"))?;
        Ok(FooterEntry { offset: row.offset.get(), extent_bytes: row.extent_bytes.get(), kind })
    });
    Ok(Footer { entries: entries.collect::<Result<_>>()?, records_end: header.records_end.get() })
}
