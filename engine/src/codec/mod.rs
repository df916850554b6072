//! Codecs of chunks: each chunk is encoded and decoded by itself, into a length known in advance. Garbage is an error
//! in bounded time and memory, and no chunk grows by more than one byte.

mod choice;
mod float;
mod huffman;
mod lz4;
mod planes;

pub(crate) use choice::{SAMPLE_BYTES, SAMPLES, choose, delta_pays};

use std::ops::RangeInclusive;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::format::Codec;
use crate::memory::{reserve, zeroed};

/// Effort of Zstandard unless another is asked for: that at which planes of weights stop getting smaller.
pub(crate) const ZSTD_LEVEL: i32 = 3;
/// Efforts of Zstandard that can be asked for; those above take memory by the hundred megabytes.
pub(crate) const ZSTD_LEVELS: RangeInclusive<i32> = 1..=19;
/// First byte of a chunk that is stored as it is.
const STORED: u8 = 0xff;

/// A codec with what its encoder, and it alone, has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coding {
    pub(crate) codec: Codec,
    /// For Zstandard alone.
    pub(crate) zstd_level: i32,
}

impl From<Codec> for Coding {
    fn from(codec: Codec) -> Self {
        Coding { codec, zstd_level: ZSTD_LEVEL }
    }
}

/// Bytes of an element that are worth a plane each.
pub(crate) fn plane_width(dtype: DType) -> u8 {
    match dtype {
        DType::F64 | DType::I64 | DType::U64 => 8,
        DType::F32 | DType::I32 | DType::U32 => 4,
        DType::F16 | DType::Bf16 | DType::I16 | DType::U16 => 2,
        _ => 1,
    }
}

/// Turns the bytes of one payload into their difference from another's, and back.
pub(crate) fn xor(target: &mut [u8], other: &[u8]) {
    target.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
}

/// Encodes a chunk of elements of `width` bytes; for [`Codec::Delta`] the [`xor`] of it and of the base's. What does not get
/// smaller is stored, with one byte in front.
pub(crate) fn encode(coding: impl Into<Coding>, width: u8, raw: &[u8]) -> Result<Vec<u8>> {
    let Coding { codec, zstd_level } = coding.into();
    let coded = match codec {
        Codec::Raw => return Ok(raw.to_vec()),
        Codec::Float => encode_float::<1>(width, raw)?,
        Codec::Delta => encode_float::<0>(width, raw)?,
        Codec::Lz4 => encode_planes(width, raw, lz4::encode)?,
        // Too little room is how Zstandard says that the chunk does not get smaller.
        Codec::Zstd => {
            encode_planes(width, raw, |source, room| zstd::bulk::compress_to_buffer(source, room, zstd_level).ok())?
        }
    };
    if let Some(coded) = coded {
        return Ok(coded);
    }
    let mut stored = Vec::new();
    reserve(&mut stored, raw.len().saturating_add(1))?;
    stored.push(STORED);
    stored.extend_from_slice(raw);
    Ok(stored)
}

/// Decodes a chunk into `raw`, which has exactly its length. Fails with `Corrupt`; then `raw` holds anything.
pub(crate) fn decode(codec: Codec, stored: &[u8], raw: &mut [u8]) -> Result<()> {
    let damaged = |what: &'static str| Error::corrupt(what);
    let (form, coded) = match codec {
        Codec::Raw => (STORED, stored),
        _ => stored
            .split_first()
            .map(|(&form, coded)| (form, coded))
            .ok_or_else(|| damaged("a coded chunk of no bytes"))?,
    };
    if form == STORED {
        if coded.len() != raw.len() {
            return Err(damaged("a stored chunk has another length"));
        }
        raw.copy_from_slice(coded);
        return Ok(());
    }
    if !matches!(form, 1 | 2 | 4 | 8) {
        return Err(damaged("a coded chunk of an unknown form"));
    }
    let width = usize::from(form);
    let decoded = match codec {
        Codec::Raw => None,
        Codec::Float => return float::decode::<1>(coded, width, raw),
        // Where the signs are equal nothing is gained by moving them behind the exponent, and the lowest plane stays random.
        Codec::Delta => return float::decode::<0>(coded, width, raw),
        Codec::Lz4 => decode_planes(width, raw, |target| lz4::decode(coded, target))?,
        Codec::Zstd => decode_planes(width, raw, |target| {
            let len = zstd::bulk::decompress_to_buffer(coded, target).ok()?;
            (len == target.len()).then_some(())
        })?,
    };
    decoded.ok_or_else(|| damaged("a coded chunk cannot be decoded"))
}

/// Byte planes in a general form; `None` when that is no smaller.
fn encode_planes(
    width: u8,
    raw: &[u8],
    compress: impl FnOnce(&[u8], &mut [u8]) -> Option<usize>,
) -> Result<Option<Vec<u8>>> {
    let mut coded = zeroed(raw.len().saturating_add(1))?;
    let Some((first, room)) = coded.split_first_mut() else { return Err(Error::internal("an empty buffer")) };
    *first = width;
    let len = if width > 1 {
        let mut planes = zeroed(raw.len())?;
        planes::split_all(raw, width.into(), &mut planes);
        compress(&planes, room)
    } else {
        compress(raw, room)
    };
    Ok(len.filter(|&len| len < raw.len()).map(|len| {
        coded.truncate(len.saturating_add(1));
        coded
    }))
}

fn decode_planes(width: usize, raw: &mut [u8], inflate: impl FnOnce(&mut [u8]) -> Option<()>) -> Result<Option<()>> {
    if width == 1 {
        return Ok(inflate(raw));
    }
    let mut planes = zeroed(raw.len())?;
    let inflated = inflate(&mut planes);
    if inflated.is_some() {
        planes::join_all(&planes, width, raw);
    }
    Ok(inflated)
}

fn encode_float<const TURN: u32>(width: u8, raw: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut planes = zeroed(raw.len())?;
    let mut coded = Vec::new();
    reserve(&mut coded, float::encoded_bound(raw.len()))?;
    coded.push(width);
    Ok(float::encode::<TURN>(raw, width.into(), &mut planes, &mut coded).then_some(coded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn weights(len: usize) -> Vec<u8> {
        (0..len / 4).flat_map(|i| ((i as f32 * 0.37).sin() * 0.05).to_le_bytes()).collect()
    }

    const CODED: [Codec; 4] = [Codec::Lz4, Codec::Zstd, Codec::Float, Codec::Delta];

    /// Weights of an element width: f8 by its pattern, bf16, f32, f64.
    fn wide_weights(width: u8, len: usize) -> Vec<u8> {
        let values = (0..len / usize::from(width)).map(|i| (i as f64 * 0.37).sin() * 0.05);
        values
            .flat_map(|value| match width {
                1 => vec![(value * 200.0) as i8 as u8],
                2 => half::bf16::from_f64(value).to_le_bytes().to_vec(),
                4 => (value as f32).to_le_bytes().to_vec(),
                _ => value.to_le_bytes().to_vec(),
            })
            .collect()
    }

    fn round_trip(codec: Codec, width: u8, raw: &[u8]) -> usize {
        let coded = encode(codec, width, raw).unwrap();
        assert!(coded.len() <= raw.len() + 1, "{codec:?}: {} bytes grew to {}", raw.len(), coded.len());
        let mut back = vec![1; raw.len()];
        decode(codec, &coded, &mut back).unwrap();
        assert!(back == raw, "{codec:?} lost {} bytes of width {width}", raw.len());
        coded.len()
    }

    // A code table may be right for weights and wrong for one value, two values, all values, or a steep histogram whose
    // best codes are longer than the table allows.
    #[test]
    fn any_mixture_of_bytes_round_trips() {
        let mut state = 0x9e37_79b9_u32;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        for kinds in [1, 2, 3, 17, 255, 256] {
            for len in [1, 31, 1000, 4099, 40_003] {
                let even: Vec<u8> = (0..len).map(|_| (random() % kinds) as u8).collect();
                // Each value half as frequent as the one before.
                let steep: Vec<u8> = (0..len).map(|_| random().leading_zeros().min(kinds - 1) as u8).collect();
                for (width, raw) in [1, 2, 4, 8].into_iter().flat_map(|width| [(width, &even), (width, &steep)]) {
                    round_trip(Codec::Float, width, raw);
                    round_trip(Codec::Delta, width, raw);
                }
            }
        }
    }

    // The encoder of LZ4 wants room for the worst case; given less it refused everything, and every chunk was stored.
    #[test]
    fn repetitions_are_coded_by_all_that_know_them() {
        let raw = b"repetition ".repeat(1000);
        for codec in [Codec::Lz4, Codec::Zstd] {
            assert!(round_trip(codec, 1, &raw) < raw.len() / 20, "{codec:?}");
        }
    }

    // A float codec that stores what it should code would pass every other test.
    #[test]
    fn exponents_of_floats_are_coded() {
        for (width, at_most) in [(1, 0.95), (2, 0.75), (4, 0.87), (8, 0.94)] {
            let raw = wide_weights(width, 256 << 10);
            let len = round_trip(Codec::Float, width, &raw);
            assert!((len as f64) < raw.len() as f64 * at_most, "width {width}: {} to {len}", raw.len());
        }
    }

    // A codec that loses a tail shorter than an element would be noticed by the digest only when it is too late.
    #[test]
    fn every_length_and_width_round_trips() {
        for (len, codec) in [0, 1, 3, 7, 8, 9, 4096, 65_541].into_iter().flat_map(|len| CODED.map(|codec| (len, codec)))
        {
            let mut raw = weights(len.max(4) * 2);
            raw.resize(len, 7);
            for width in [1, 2, 4, 8] {
                round_trip(codec, width, &raw);
            }
        }
    }

    // Checksums keep damage out; a decoder that panics on it anyway would be one bug away from taking the host down.
    #[test]
    fn damaged_chunks_are_errors_or_other_bytes_never_a_panic() {
        for (codec, width) in CODED.into_iter().flat_map(|codec| [1, 2, 4, 8].map(|width| (codec, width))) {
            let raw = wide_weights(width, usize::from(width) * 400);
            let coded = encode(codec, width, &raw).unwrap();
            let mut back = vec![0; raw.len()];
            for len in 0..coded.len() {
                let kind = decode(codec, &coded[..len], &mut back).unwrap_err().kind();
                assert_eq!(kind, ErrorKind::Corrupt, "{codec:?}, width {width}, {len} bytes");
            }
            for bit in 0..coded.len() * 8 {
                let mut altered = coded.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                let _ = decode(codec, &altered, &mut back);
            }
            assert!(decode(codec, &coded, &mut vec![0; raw.len() + 1]).is_err(), "another length");
        }
    }

    // Without planes the exponents of weights hide among random mantissas and nothing gets smaller.
    #[test]
    fn planes_make_weights_smaller() {
        let raw = weights(256 << 10);
        let (split, plain) = (encode(Codec::Zstd, 4, &raw).unwrap(), encode(Codec::Zstd, 1, &raw).unwrap());
        assert!(split.len() < plain.len(), "{} is not less than {}", split.len(), plain.len());
    }
}
