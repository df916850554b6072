//! `store.json`: what a store is, written once when its creation is complete.

use serde::{Deserialize, Serialize};

use crate::digest::Hex;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::{Open, Volume, read_all};
use crate::format::{FORMAT_VERSION, names};

use super::options::Options;

/// Largest file that is looked at.
const FILE_BYTES_MAX: usize = 64 << 10;
const FORMAT_NAME: &str = "tensoratom";

/// What never changes about a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreIdentity {
    pub(crate) uuid: [u8; 16],
    pub(crate) segment_bytes: u64,
    pub(crate) chunk_bytes: u32,
    pub(crate) created_us: u64,
}

#[derive(Serialize, Deserialize)]
struct StoreFile {
    format: String,
    version: u32,
    uuid: String,
    segment_bytes: u64,
    chunk_bytes: u32,
    created_us: u64,
    crc32: String,
}

impl StoreFile {
    fn checksum(&self) -> String {
        let text = format!(
            "{} {} {} {} {} {}",
            self.format, self.version, self.uuid, self.segment_bytes, self.chunk_bytes, self.created_us
        );
        format!("{:08x}", crc32fast::hash(text.as_bytes()))
    }
}

impl StoreIdentity {
    /// A new store's identity.
    pub(crate) fn draw(volume: &dyn Volume, options: &Options) -> Result<Self> {
        let mut uuid = [0; 16];
        volume.random(&mut uuid).doing("drawing a store id")?;
        Ok(StoreIdentity {
            uuid,
            segment_bytes: options.segment_bytes,
            chunk_bytes: options.chunk_bytes,
            created_us: u64::try_from(volume.now_us()).unwrap_or(0),
        })
    }

    /// Reads and checks `store.json`; `None` when there is none.
    pub(crate) fn read(volume: &dyn Volume) -> Result<Option<Self>> {
        let file = match volume.open(names::STORE, Open::Read) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.doing("opening store.json")?,
        };
        let bytes = read_all(&*file, FILE_BYTES_MAX).doing("reading store.json")?;
        Self::parse(&bytes).map(Some)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| {
            Error::new(ErrorKind::NotAStore, format!("store.json {what}"))
                .hint("if this was a store, `tensoratom repair STORE` rewrites the file from the segments")
        };
        // The version is looked at first: a newer format may have other fields.
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| damaged("is not JSON"))?;
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        if value.get("format").and_then(serde_json::Value::as_str) != Some(FORMAT_NAME) {
            return Err(damaged("does not describe a store"));
        }
        if version.is_some_and(|version| version > u64::from(FORMAT_VERSION)) {
            let what = format!("the store has format {}, newer than {FORMAT_VERSION}", version.unwrap_or(0));
            return Err(Error::new(ErrorKind::NewerFormat, what).hint("open it with a newer version of this library"));
        }
        let file: StoreFile = serde_json::from_value(value).map_err(|_| damaged("lacks a field"))?;
        if file.crc32 != file.checksum() {
            return Err(damaged("differs from its checksum"));
        }
        let uuid = parse_uuid(&file.uuid).ok_or_else(|| damaged("has no valid id"))?;
        let options = Options::new().segment_bytes(file.segment_bytes).chunk_bytes(file.chunk_bytes);
        options.check().map_err(|_| damaged("has impossible sizes"))?;
        let StoreFile { segment_bytes, chunk_bytes, created_us, .. } = file;
        Ok(StoreIdentity { uuid, segment_bytes, chunk_bytes, created_us })
    }

    /// Writes `store.json` complete and durable, or not at all.
    pub(crate) fn write(&self, volume: &dyn Volume) -> Result<()> {
        let mut content = StoreFile {
            format: FORMAT_NAME.into(),
            version: FORMAT_VERSION,
            uuid: self.uuid_text(),
            segment_bytes: self.segment_bytes,
            chunk_bytes: self.chunk_bytes,
            created_us: self.created_us,
            crc32: String::new(),
        };
        content.crc32 = content.checksum();
        let mut text = serde_json::to_string_pretty(&content).map_err(|e| Error::internal(e.to_string()))?;
        text.push('\n');
        write_whole(volume, names::STORE_TEMPORARY, names::STORE, text.as_bytes()).doing("writing store.json")
    }

    /// The id as 32 hexadecimal digits.
    pub(crate) fn uuid_text(&self) -> String {
        uuid_text(&self.uuid)
    }
}

/// Writes a small file complete and durable, or not at all.
pub(super) fn write_whole(volume: &dyn Volume, temporary: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let file = volume.open(temporary, Open::Create)?;
    file.set_len(0)?;
    file.write_at(bytes, 0)?;
    file.sync_all()?;
    volume.rename(temporary, name)?;
    volume.sync_dir("")
}

/// An id as 32 hexadecimal digits.
pub(super) fn uuid_text(uuid: &[u8; 16]) -> String {
    Hex(uuid).to_string()
}

/// Inverse of [`uuid_text`].
pub(super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    let mut uuid = number.to_le_bytes();
    uuid.reverse();
    Some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::sim::SimDisk;

    #[test]
    fn round_trip_and_every_flipped_bit_is_an_error() {
        let disk = SimDisk::new();
        let volume = disk.process();
        let identity = StoreIdentity::draw(&*volume, &Options::new()).unwrap();
        identity.write(&*volume).unwrap();
        assert_eq!(StoreIdentity::read(&*volume).unwrap(), Some(identity.clone()));
        let good = disk.image().files["store.json"].clone();
        for bit in 0..good.len() * 8 {
            let mut damaged = good.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // White space may change without changing what the file says; nothing else may.
            if let Ok(read) = StoreIdentity::parse(&damaged) {
                assert_eq!(read, identity, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_newer_format_is_named_as_such() {
        let text = br#"{"format": "tensoratom", "version": 9, "something": "else"}"#;
        assert_eq!(StoreIdentity::parse(text).unwrap_err().kind(), ErrorKind::NewerFormat);
        assert_eq!(StoreIdentity::parse(b"{}").unwrap_err().kind(), ErrorKind::NotAStore);
        assert_eq!(StoreIdentity::parse(b"").unwrap_err().kind(), ErrorKind::NotAStore);
    }
}
