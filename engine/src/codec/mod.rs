//! Codecs of chunks: each chunk is encoded and decoded by itself, into a length known in advance. Garbage is an error
//! in bounded time and memory, and no chunk grows by more than one byte.

mod planes;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::format::Codec;
use crate::memory::zeroed;

/// Effort of Zstandard: the level at which planes of weights stop getting smaller.
const ZSTD_LEVEL: i32 = 3;
/// First byte of a chunk that is stored as it is.
const STORED: u8 = 0xff;

/// Bytes of an element that are worth a plane each.
pub(crate) fn plane_width(dtype: DType) -> u8 {
    match dtype {
        DType::F64 | DType::I64 | DType::U64 => 8,
        DType::F32 | DType::I32 | DType::U32 => 4,
        DType::F16 | DType::Bf16 | DType::I16 | DType::U16 => 2,
        _ => 1,
    }
}

/// Encodes a chunk of elements of `width` bytes. What does not get smaller is stored, with one byte in front.
pub(crate) fn encode(codec: Codec, width: u8, raw: &[u8]) -> Result<Vec<u8>> {
    match codec {
        Codec::Raw => Ok(raw.to_vec()),
        Codec::Zstd => encode_zstd(width, raw),
    }
}

/// Decodes a chunk into `raw`, which has exactly its length. Fails with `Corrupt`; then `raw` holds anything.
pub(crate) fn decode(codec: Codec, stored: &[u8], raw: &mut [u8]) -> Result<()> {
    match codec {
        Codec::Raw if stored.len() == raw.len() => {
            raw.copy_from_slice(stored);
            Ok(())
        }
        Codec::Raw => Err(Error::corrupt("the chunk has another length")),
        Codec::Zstd => decode_zstd(stored, raw),
    }
}

fn encode_zstd(width: u8, raw: &[u8]) -> Result<Vec<u8>> {
    let mut coded = zeroed(raw.len().saturating_add(1))?;
    let Some((first, room)) = coded.split_first_mut() else { return Err(Error::internal("an empty buffer")) };
    let split;
    let source = if width > 1 {
        let mut planes = zeroed(raw.len())?;
        planes::split(raw, width.into(), &mut planes);
        split = planes;
        &split[..]
    } else {
        raw
    };
    // Too little room is how Zstandard says that the chunk does not get smaller.
    match zstd::bulk::compress_to_buffer(source, room, ZSTD_LEVEL) {
        Ok(len) if len < raw.len() => {
            *first = width;
            coded.truncate(len.saturating_add(1));
        }
        _ => {
            *first = STORED;
            room.copy_from_slice(raw);
        }
    }
    Ok(coded)
}

fn decode_zstd(stored: &[u8], raw: &mut [u8]) -> Result<()> {
    let damaged = |what: &'static str| Error::corrupt(what);
    let (&width, frame) = stored.split_first().ok_or_else(|| damaged("a coded chunk of no bytes"))?;
    if width == STORED {
        if frame.len() != raw.len() {
            return Err(damaged("a stored chunk has another length"));
        }
        raw.copy_from_slice(frame);
        return Ok(());
    }
    if !matches!(width, 1 | 2 | 4 | 8) {
        return Err(damaged("a coded chunk of an unknown form"));
    }
    let inflate = |target: &mut [u8]| match zstd::bulk::decompress_to_buffer(frame, target) {
        Ok(len) if len == target.len() => Ok(()),
        Ok(_) => Err(damaged("a coded chunk has another length")),
        Err(e) => Err(damaged("a coded chunk cannot be decoded").source_box(e.into())),
    };
    if width == 1 {
        return inflate(raw);
    }
    let mut planes = zeroed(raw.len())?;
    inflate(&mut planes)?;
    planes::join(&planes, width.into(), raw);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn weights(len: usize) -> Vec<u8> {
        (0..len / 4).flat_map(|i| ((i as f32 * 0.37).sin() * 0.05).to_le_bytes()).collect()
    }

    // A codec that loses a tail shorter than an element would be noticed by the digest only when it is too late.
    #[test]
    fn every_length_and_width_round_trips() {
        for len in [0, 1, 3, 7, 8, 9, 4096, 65_541] {
            let mut raw = weights(len.max(4) * 2);
            raw.resize(len, 7);
            for width in [1, 2, 4, 8] {
                let coded = encode(Codec::Zstd, width, &raw).unwrap();
                assert!(coded.len() <= len + 1, "{len} bytes grew to {}", coded.len());
                let mut back = vec![1; len];
                decode(Codec::Zstd, &coded, &mut back).unwrap();
                assert_eq!(back, raw, "{len} bytes, width {width}");
            }
        }
    }

    // Checksums keep damage out; a decoder that panics on it anyway would be one bug away from taking the host down.
    #[test]
    fn damaged_chunks_are_errors_or_other_bytes_never_a_panic() {
        let raw = weights(4096);
        let coded = encode(Codec::Zstd, 4, &raw).unwrap();
        let mut back = vec![0; raw.len()];
        for len in 0..coded.len() {
            let kind = decode(Codec::Zstd, &coded[..len], &mut back).unwrap_err().kind();
            assert_eq!(kind, ErrorKind::Corrupt, "{len} bytes");
        }
        for bit in 0..coded.len() * 8 {
            let mut altered = coded.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let _ = decode(Codec::Zstd, &altered, &mut back);
        }
        assert!(decode(Codec::Zstd, &coded, &mut vec![0; raw.len() + 1]).is_err(), "another length");
    }

    // Without planes the exponents of weights hide among random mantissas and nothing gets smaller.
    #[test]
    fn planes_make_weights_smaller() {
        let raw = weights(256 << 10);
        let (split, plain) = (encode(Codec::Zstd, 4, &raw).unwrap(), encode(Codec::Zstd, 1, &raw).unwrap());
        assert!(split.len() < plain.len(), "{} is not less than {}", split.len(), plain.len());
    }
}
