//! AVX2 and F16C: eight elements at a time.

use std::arch::x86_64::*;

use super::chunks;

/// Bits as half-precision numbers; returns the groups of eight that were done, as do all functions here.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn f32_to_f16(source: &[u8], target: &mut [u8]) -> usize {
    chunks(source, target, |source: &[u8; 32], target| {
        store(target, _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_castsi256_ps(load(source))));
    })
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn f16_to_f32(source: &[u8], target: &mut [u8]) -> usize {
    chunks(source, target, |source, target| {
        store_wide(target, _mm256_castps_si256(_mm256_cvtph_ps(load_narrow(source))));
    })
}

/// Integer arithmetic: the instructions of AVX512_BF16 take subnormal numbers for zero.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn f32_to_bf16(source: &[u8], target: &mut [u8]) -> usize {
    chunks(source, target, |source, target| {
        let bits = load(source);
        let high = _mm256_srli_epi32::<16>(bits);
        let odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
        let rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
        let value = _mm256_castsi256_ps(bits);
        let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(value, value));
        let quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
        let codes = _mm256_blendv_epi8(_mm256_srli_epi32::<16>(rounded), quiet, nan);
        // Packing works within halves of the register; the permutation undoes that.
        let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(codes, codes));
        store(target, _mm256_castsi256_si128(packed));
    })
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn bf16_to_f32(source: &[u8], target: &mut [u8]) -> usize {
    chunks(source, target, |source, target| {
        let bits = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(load_narrow(source)));
        let value = _mm256_castsi256_ps(bits);
        let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(value, value));
        let quiet = _mm256_and_si256(nan, _mm256_set1_epi32(0x0040_0000));
        store_wide(target, _mm256_or_si256(bits, quiet));
    })
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(source: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are readable at `source`, at any alignment.
    unsafe { _mm256_loadu_si256(source.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_narrow(source: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes are readable at `source`, at any alignment.
    unsafe { _mm_loadu_si128(source.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(target: &mut [u8; 16], value: __m128i) {
    // SAFETY: 16 bytes are writable at `target`, at any alignment.
    unsafe { _mm_storeu_si128(target.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_wide(target: &mut [u8; 32], value: __m256i) {
    // SAFETY: 32 bytes are writable at `target`, at any alignment.
    unsafe { _mm256_storeu_si256(target.as_mut_ptr().cast(), value) }
}
