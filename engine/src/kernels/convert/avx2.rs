//! AVX2 and F16C: eight elements at a time.

use std::arch::x86_64::*;

use super::super::float::Layout;
use super::{Overflow, chunks, eight};

/// Returns how many leading elements were done, as do all functions here.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn f32_to_f16(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<8, _, _>(source, target, |source: &[u8; 32], target| {
        store(target, _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_castsi256_ps(load(source))));
    })
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn f16_to_f32(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<8, _, _>(source, target, |source, target| {
        store_wide(target, _mm256_castps_si256(_mm256_cvtph_ps(load_narrow(source))));
    })
}

/// Integer arithmetic: the instructions of AVX512_BF16 take subnormal numbers for zero.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn f32_to_bf16(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<8, _, _>(source, target, |source, target| {
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
    chunks::<8, _, _>(source, target, |source, target| {
        let bits = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(load_narrow(source)));
        let value = _mm256_castsi256_ps(bits);
        let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(value, value));
        let quiet = _mm256_and_si256(nan, _mm256_set1_epi32(0x0040_0000));
        store_wide(target, _mm256_or_si256(bits, quiet));
    })
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn f32_to_f64(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<4, _, _>(source, target, |source: &[u8; 16], target: &mut [u8; 32]| {
        store_wide(target, _mm256_castpd_si256(_mm256_cvtps_pd(_mm_castsi128_ps(load_narrow(source)))));
    })
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn f64_to_f32(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<4, _, _>(source, target, |source: &[u8; 32], target: &mut [u8; 16]| {
        store(target, _mm_castps_si128(_mm256_cvtpd_ps(_mm256_castsi256_pd(load(source)))));
    })
}

/// Rounded to odd: towards zero, and the last bit set where anything was lost.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn f64_to_f32_odd(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<4, _, _>(source, target, |source: &[u8; 32], target: &mut [u8; 16]| {
        let value = _mm256_castsi256_pd(load(source));
        let near = _mm256_cvtpd_ps(value);
        let back = _mm256_cvtps_pd(near);
        let magnitude = |x| _mm256_andnot_pd(_mm256_set1_pd(-0.0), x);
        let is_beyond = narrow_mask(_mm256_cmp_pd::<_CMP_GT_OQ>(magnitude(back), magnitude(value)));
        let is_inexact = narrow_mask(_mm256_cmp_pd::<_CMP_NEQ_OQ>(back, value));
        // A mask is -1: the next number towards zero.
        let bits = _mm_add_epi32(_mm_castps_si128(near), is_beyond);
        store(target, _mm_or_si128(bits, _mm_and_si128(is_inexact, _mm_set1_epi32(1))));
    })
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn f32_to_f8(source: &[u8], target: &mut [u8], layout: &Layout, overflow: Overflow) -> usize {
    eight::narrow(source, target, layout, overflow)
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn f8_to_f32(source: &[u8], target: &mut [u8], layout: &Layout) -> usize {
    eight::widen(source, target, layout)
}

/// The lower half of each 64-bit lane of a mask.
#[inline]
#[target_feature(enable = "avx2")]
fn narrow_mask(mask: __m256d) -> __m128i {
    let even = _mm256_permutevar8x32_epi32(_mm256_castpd_si256(mask), _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    _mm256_castsi256_si128(even)
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
