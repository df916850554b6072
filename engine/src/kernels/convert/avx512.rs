//! AVX-512 F, BW and VL: sixteen elements at a time.

use std::arch::x86_64::*;

use super::super::float::Layout;
use super::{Overflow, chunks, eight};

/// Returns how many leading elements were done, as do all functions here.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn f32_to_f16(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<16, _, _>(source, target, |source, target| {
        store(target, _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm512_castsi512_ps(load(source))));
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn f16_to_f32(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<16, _, _>(source, target, |source, target| {
        store_wide(target, _mm512_castps_si512(_mm512_cvtph_ps(load_narrow(source))));
    })
}

/// Integer arithmetic: the instructions of AVX512_BF16 take subnormal numbers for zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn f32_to_bf16(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<16, _, _>(source, target, |source, target| {
        let bits = load(source);
        let high = _mm512_srli_epi32::<16>(bits);
        let odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
        let value = _mm512_castsi512_ps(bits);
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
        let codes = _mm512_mask_or_epi32(_mm512_srli_epi32::<16>(rounded), nan, high, _mm512_set1_epi32(0x40));
        store(target, _mm512_cvtepi32_epi16(codes));
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn bf16_to_f32(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<16, _, _>(source, target, |source, target| {
        let bits = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(load_narrow(source)));
        let value = _mm512_castsi512_ps(bits);
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
        store_wide(target, _mm512_mask_or_epi32(bits, nan, bits, _mm512_set1_epi32(0x0040_0000)));
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn f32_to_f64(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<8, _, _>(source, target, |source: &[u8; 32], target: &mut [u8; 64]| {
        store_wide(target, _mm512_castpd_si512(_mm512_cvtps_pd(_mm256_castsi256_ps(load_narrow(source)))));
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn f64_to_f32(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<8, _, _>(source, target, |source: &[u8; 64], target: &mut [u8; 32]| {
        store(target, _mm256_castps_si256(_mm512_cvtpd_ps(_mm512_castsi512_pd(load(source)))));
    })
}

/// Rounded to odd: towards zero, and the last bit set where anything was lost.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn f64_to_f32_odd(source: &[u8], target: &mut [u8]) -> usize {
    chunks::<8, _, _>(source, target, |source: &[u8; 64], target: &mut [u8; 32]| {
        let value = _mm512_castsi512_pd(load(source));
        let cut = _mm512_cvt_roundpd_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(value);
        let is_inexact = _mm512_cmp_pd_mask::<_CMP_NEQ_OQ>(_mm512_cvtps_pd(cut), value);
        let bits = _mm256_castps_si256(cut);
        store(target, _mm256_mask_or_epi32(bits, is_inexact, bits, _mm256_set1_epi32(1)));
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn f32_to_f8(source: &[u8], target: &mut [u8], layout: &Layout, overflow: Overflow) -> usize {
    eight::narrow(source, target, layout, overflow)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn f8_to_f32(source: &[u8], target: &mut [u8], layout: &Layout) -> usize {
    eight::widen(source, target, layout)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(source: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes are readable at `source`, at any alignment.
    unsafe { _mm512_loadu_si512(source.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_narrow(source: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are readable at `source`, at any alignment.
    unsafe { _mm256_loadu_si256(source.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(target: &mut [u8; 32], value: __m256i) {
    // SAFETY: 32 bytes are writable at `target`, at any alignment.
    unsafe { _mm256_storeu_si256(target.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_wide(target: &mut [u8; 64], value: __m512i) {
    // SAFETY: 64 bytes are writable at `target`, at any alignment.
    unsafe { _mm512_storeu_si512(target.as_mut_ptr().cast(), value) }
}
