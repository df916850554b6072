//! Chunks in coded form without a store around them: what benchmarks of the codecs measure.

use crate::codec;
use crate::{Codec, DType, Result};

/// The codec that a payload of this type gets whose sampled chunks are these.
pub fn choose(dtype: DType, samples: &[Vec<u8>]) -> Result<Codec> {
    codec::choose(dtype, samples)
}

/// A chunk of elements as it is stored.
pub fn encode(codec: Codec, dtype: DType, raw: &[u8]) -> Result<Vec<u8>> {
    codec::encode(codec, codec::plane_width(dtype), raw)
}

/// Decodes a stored chunk into a slice of exactly its raw length.
pub fn decode(codec: Codec, stored: &[u8], raw: &mut [u8]) -> Result<()> {
    codec::decode(codec, stored, raw)
}
