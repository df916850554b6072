//! AVX-512 registers. Operations of the same names, in the same order, as in the other files of this kind.

use std::arch::x86_64::*;

use super::Level;
use super::entry::{Entry, Scan};
use super::vector::{Isa, Kernel, intrinsics, loads};

/// Proof that AVX-512 F, BW, DQ, VL, VNNI, BITALG and VPOPCNTDQ are present.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512bitalg")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        present.then_some(Avx512(()))
    }
}

impl Isa for Avx512 {
    const LEVEL: Level = Level::Avx512;
    const BYTES: usize = 64;
    const TWO_QUERIES: bool = true;
    const TWO_ROWS: bool = true;

    type F32 = __m512;
    type F64 = __m512d;
    type I16 = __m512i;
    type I32 = __m512i;
    type Bytes = __m512i;
    type Half = __m256i;
    type Quarter = __m128i;
    type U64 = __m512i;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bitalg,avx512vpopcntdq,avx2,fma,f16c"
        )]
        fn enabled<K: Kernel>(isa: Avx512, kernel: K) -> K::Output {
            kernel.run(isa)
        }
        // SAFETY: the instructions enabled are those `detect` looked for, without which there is no `Avx512`.
        unsafe { enabled(self, kernel) }
    }

    #[inline(always)]
    fn entry<S: Scan>(self) -> Entry {
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bitalg,avx512vpopcntdq,avx2,fma,f16c"
        )]
        unsafe fn enabled<S: Scan>(
            query: *const u8,
            rows: *const u8,
            stride: usize,
            count: usize,
            dim: usize,
            out: *mut f64,
        ) -> f64 {
            // SAFETY: the caller promises what `run` asks for, and had a value of this type to get here.
            unsafe { S::run(Avx512(()), query, rows, stride, count, dim, out) }
        }
        enabled::<S>
    }

    intrinsics! {
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bitalg,avx512vpopcntdq,avx2,fma,f16c";
        f32_zero() -> __m512 = _mm512_setzero_ps();
        f32_add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        f32_sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        f32_abs(a: __m512) -> __m512 = _mm512_abs_ps(a);
        f32_fma(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        f32_sum(a: __m512) -> f32 = _mm512_reduce_add_ps(a);

        f64_zero() -> __m512d = _mm512_setzero_pd();
        f64_add(a: __m512d, b: __m512d) -> __m512d = _mm512_add_pd(a, b);
        f64_sub(a: __m512d, b: __m512d) -> __m512d = _mm512_sub_pd(a, b);
        f64_abs(a: __m512d) -> __m512d = _mm512_abs_pd(a);
        f64_fma(a: __m512d, b: __m512d, c: __m512d) -> __m512d = _mm512_fmadd_pd(a, b, c);
        f64_sum(a: __m512d) -> f64 = _mm512_reduce_add_pd(a);

        i32_zero() -> __m512i = _mm512_setzero_si512();
        i32_add(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi32(a, b);
        i32_sum(a: __m512i) -> i32 = _mm512_reduce_add_epi32(a);
        i16_sub(a: __m512i, b: __m512i) -> __m512i = _mm512_sub_epi16(a, b);
        i16_abs(a: __m512i) -> __m512i = _mm512_abs_epi16(a);
        i16_dot(acc: __m512i, a: __m512i, b: __m512i) -> __m512i = _mm512_dpwssd_epi32(acc, a, b);
        i16_one() -> __m512i = _mm512_set1_epi16(1);

        bytes_xor(a: __m512i, b: __m512i) -> __m512i = _mm512_xor_si512(a, b);
        bytes_and(a: __m512i, b: __m512i) -> __m512i = _mm512_and_si512(a, b);
        u64_zero() -> __m512i = _mm512_setzero_si512();
        u64_count(acc: __m512i, bits: __m512i) -> __m512i = _mm512_add_epi64(acc, _mm512_popcnt_epi64(bits));
        u64_sum(a: __m512i) -> u64 = _mm512_reduce_add_epi64(a) as u64;
        dot_u8_i8(acc: __m512i, a: __m512i, b: __m512i) -> __m512i = _mm512_dpbusd_epi32(acc, a, b);
        bytes_flip_sign(a: __m512i) -> __m512i = _mm512_xor_si512(a, _mm512_set1_epi8(i8::MIN));
        bytes_one() -> __m512i = _mm512_set1_epi8(1);

        f32_of(raw: __m512i) -> __m512 = _mm512_castsi512_ps(raw);
        f64_of(raw: __m512i) -> __m512d = _mm512_castsi512_pd(raw);
        f32_of_f16(raw: __m256i) -> __m512 = _mm512_cvtph_ps(raw);
        f32_of_bf16(raw: __m256i) -> __m512 = {
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(raw)))
        };
        f32_of_bf16_split(raw: __m512i) -> [__m512; 2] = {
            let odd = _mm512_and_si512(raw, _mm512_set1_epi32(-0x1_0000));
            [_mm512_castsi512_ps(_mm512_slli_epi32::<16>(raw)), _mm512_castsi512_ps(odd)]
        };
        f32_of_i8(raw: __m128i) -> __m512 = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(raw));
        i16_of_i8(raw: __m256i) -> __m512i = _mm512_cvtepi8_epi16(raw);
        i16_of_u8(raw: __m256i) -> __m512i = _mm512_cvtepu8_epi16(raw);
    }

    loads! {
        load(at) -> __m512i = _mm512_loadu_si512(at.cast());
        load_half(at) -> __m256i = _mm256_loadu_si256(at.cast());
        load_quarter(at) -> __m128i = _mm_loadu_si128(at.cast());
    }

    // Bytes a mask leaves out are neither read nor able to fault (Intel SDM, volume 1, "Memory fault suppression").

    #[inline(always)]
    unsafe fn load_part(self, at: *const u8, bytes: usize) -> __m512i {
        // SAFETY: the caller promises the bytes the mask lets through; `self` proves AVX-512 BW.
        unsafe { _mm512_maskz_loadu_epi8(lowest(bytes), at.cast()) }
    }

    #[inline(always)]
    unsafe fn load_half_part(self, at: *const u8, bytes: usize) -> __m256i {
        // SAFETY: the caller promises the bytes the mask lets through; `self` proves AVX-512 BW and VL.
        unsafe { _mm256_maskz_loadu_epi8(lowest(bytes) as u32, at.cast()) }
    }

    #[inline(always)]
    unsafe fn load_quarter_part(self, at: *const u8, bytes: usize) -> __m128i {
        // SAFETY: the caller promises the bytes the mask lets through; `self` proves AVX-512 BW and VL.
        unsafe { _mm_maskz_loadu_epi8(lowest(bytes) as u16, at.cast()) }
    }
}

/// A mask of the lowest bits, at most 64.
#[inline(always)]
fn lowest(bits: usize) -> u64 {
    if bits == 0 { 0 } else { u64::MAX >> (64 - bits) }
}
