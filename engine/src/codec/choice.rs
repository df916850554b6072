//! Which codec a payload gets: the candidates of its type are tried on a few of its chunks.

use crate::dtype::DType;
use crate::error::Result;
use crate::format::Codec;

use super::{Coding, encode, plane_width};

/// Places in a payload, in eighths, whose chunks are tried.
pub(crate) const SAMPLES: [u64; 3] = [0, 4, 7];

/// Bytes of a sample, at most: those of a usual chunk.
pub(crate) const SAMPLE_BYTES: u64 = 256 << 10;

/// The codec whose samples take the fewest bytes; a faster one wins unless it costs a fiftieth of the raw bytes more.
pub(crate) fn choose(dtype: DType, samples: &[Vec<u8>]) -> Result<Codec> {
    let candidates = candidates(dtype);
    let width = plane_width(dtype);
    let mut sizes = Vec::with_capacity(candidates.len());
    for &codec in candidates {
        let coded = samples.iter().map(|chunk| encode(codec, width, chunk).map(|coded| coded.len()));
        sizes.push((codec, coded.sum::<Result<usize>>()?));
    }
    let least = sizes.iter().map(|&(_, bytes)| bytes).min().unwrap_or(0);
    let slack = samples.iter().map(Vec::len).sum::<usize>() / 50;
    let good = sizes.iter().find(|&&(_, bytes)| bytes <= least.saturating_add(slack));
    Ok(good.map_or(Codec::Zstd, |&(codec, _)| codec))
}

/// Whether coding the samples as differences from a base takes at most nine tenths of what the codec takes that was chosen
/// for them: less is not worth depending on another payload.
pub(crate) fn delta_pays(dtype: DType, plain: Coding, samples: &[Vec<u8>], differences: &[Vec<u8>]) -> Result<bool> {
    let width = plane_width(dtype);
    let size = |coding: Coding, chunks: &[Vec<u8>]| -> Result<usize> {
        chunks.iter().map(|chunk| encode(coding, width, chunk).map(|coded| coded.len())).sum()
    };
    Ok(size(Codec::Delta.into(), differences)?.saturating_mul(10) <= size(plain, samples)?.saturating_mul(9))
}

/// What may suit a type, the fastest to decode first.
fn candidates(dtype: DType) -> &'static [Codec] {
    match dtype {
        DType::F64 | DType::F32 | DType::F16 | DType::Bf16 | DType::F8E4M3 | DType::F8E5M2 => {
            &[Codec::Lz4, Codec::Float, Codec::Zstd]
        }
        _ => &[Codec::Lz4, Codec::Zstd],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(dtype: DType, raw: Vec<u8>) -> Codec {
        choose(dtype, &[raw]).unwrap()
    }

    // A model in `opaque` blocks must not be coded as floats, nor weights as text.
    #[test]
    fn each_kind_of_data_gets_what_suits_it() {
        // Normally distributed numbers, as in a trained layer: what repeats in a formula is for Zstandard.
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let mut weights = |_: u32| ((uniform() + uniform() + uniform() + uniform() - 2.0) * 0.05).to_le_bytes();
        assert_eq!(chosen(DType::F32, (0..16_384).flat_map(&mut weights).collect()), Codec::Float);
        assert_eq!(chosen(DType::F32, vec![0; 65_536]), Codec::Lz4, "nothing beats the fastest on zeros");
        // One number over and over in long runs is for a codec that knows repetitions, though it is a float.
        let rows = (0..64_u32).flat_map(|row| weights(row).repeat(256)).collect();
        assert_ne!(chosen(DType::F32, rows), Codec::Float);
        let text = (0..9000).flat_map(|i| format!("{} ", i * i % 977).into_bytes()).collect();
        assert_eq!(chosen(DType::Opaque, text), Codec::Zstd);
        let counts = (0..8192_i64).flat_map(|i| (i * 3 + 100_000).to_le_bytes()).collect();
        assert!(matches!(chosen(DType::I64, counts), Codec::Lz4 | Codec::Zstd));
    }

    #[test]
    fn a_payload_of_no_bytes_has_a_codec() {
        assert_eq!(choose(DType::F32, &[]).unwrap(), Codec::Lz4);
    }
}
