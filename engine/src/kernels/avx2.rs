//! AVX2 registers. Operations of the same names, in the same order, as in the other files of this kind.

use std::arch::x86_64::*;

use super::Level;
use super::avx512::Avx512;
use super::entry::{Entry, Scan};
use super::vector::{Isa, Kernel, entry, intrinsics, loads};

/// Proof that AVX2, FMA and F16C are present; with `MANY` AVX-512 VL as well, which has twice as many of these registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2<const MANY: bool = false>(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let present =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        present.then_some(Avx2(()))
    }
}

impl<const MANY: bool> Avx2<MANY> {
    /// What every processor with AVX-512 has as well.
    pub(super) fn of(_: Avx512) -> Self {
        Avx2(())
    }
}

impl<const MANY: bool> Isa for Avx2<MANY> {
    const LEVEL: Level = Level::Avx2;
    const BYTES: usize = 32;
    const TWO_QUERIES: bool = true;
    const TWO_ROWS: bool = MANY;

    type F32 = __m256;
    type F64 = __m256d;
    type I16 = __m256i;
    type I32 = __m256i;
    type Bytes = __m256i;
    type Half = __m128i;
    type Quarter = u64;
    type U64 = __m256i;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn enabled<const MANY: bool, K: Kernel>(isa: Avx2<MANY>, kernel: K) -> K::Output {
            kernel.run(isa)
        }
        // SAFETY: the instructions enabled are those `detect` looked for, without which there is no `Avx2`.
        unsafe { enabled(self, kernel) }
    }

    #[inline(always)]
    fn entry<S: Scan>(self) -> Entry {
        if MANY {
            entry!("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c", S, Avx2::<true>(()))
        } else {
            entry!("avx2,fma,f16c", S, Avx2::<false>(()))
        }
    }

    intrinsics! {
        "avx2,fma,f16c";
        f32_zero() -> __m256 = _mm256_setzero_ps();
        f32_add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        f32_sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        f32_abs(a: __m256) -> __m256 = { let sign = _mm256_set1_ps(-0.0); _mm256_andnot_ps(sign, a) };
        f32_fma(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        f32_sum(a: __m256) -> f32 = {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        };

        f64_zero() -> __m256d = _mm256_setzero_pd();
        f64_add(a: __m256d, b: __m256d) -> __m256d = _mm256_add_pd(a, b);
        f64_sub(a: __m256d, b: __m256d) -> __m256d = _mm256_sub_pd(a, b);
        f64_abs(a: __m256d) -> __m256d = { let sign = _mm256_set1_pd(-0.0); _mm256_andnot_pd(sign, a) };
        f64_fma(a: __m256d, b: __m256d, c: __m256d) -> __m256d = _mm256_fmadd_pd(a, b, c);
        f64_sum(a: __m256d) -> f64 = {
            let two = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd::<1>(a));
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        };

        i32_zero() -> __m256i = _mm256_setzero_si256();
        i32_add(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(a, b);
        i32_sum(a: __m256i) -> i32 = {
            let four = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b1110>(four));
            _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b01>(two)))
        };
        i16_sub(a: __m256i, b: __m256i) -> __m256i = _mm256_sub_epi16(a, b);
        i16_abs(a: __m256i) -> __m256i = _mm256_abs_epi16(a);
        i16_dot(acc: __m256i, a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
        i16_one() -> __m256i = _mm256_set1_epi16(1);

        bytes_xor(a: __m256i, b: __m256i) -> __m256i = _mm256_xor_si256(a, b);
        bytes_and(a: __m256i, b: __m256i) -> __m256i = _mm256_and_si256(a, b);
        u64_zero() -> __m256i = _mm256_setzero_si256();
        u64_sum(a: __m256i) -> f64 = {
            let two = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            _mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two))) as f64
        };

        // Widened to 16 bits: the instruction on bytes saturates sums of two products.
        dot_u8_i8(acc: __m256i, a: __m256i, b: __m256i) -> __m256i = {
            let unsigned = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(a));
            let signed = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(b));
            let acc = _mm256_add_epi32(acc, _mm256_madd_epi16(unsigned, signed));
            let unsigned = _mm256_cvtepu8_epi16(_mm256_extracti128_si256::<1>(a));
            let signed = _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(b));
            _mm256_add_epi32(acc, _mm256_madd_epi16(unsigned, signed))
        };

        // Absolute differences are unsigned bytes, which are widened to 16 bits.
        sq_diff_i8(acc: __m256i, a: __m256i, b: __m256i) -> __m256i = {
            let apart = _mm256_sub_epi8(_mm256_max_epi8(a, b), _mm256_min_epi8(a, b));
            let low = _mm256_unpacklo_epi8(apart, _mm256_setzero_si256());
            let high = _mm256_unpackhi_epi8(apart, _mm256_setzero_si256());
            let squares = _mm256_add_epi32(_mm256_madd_epi16(low, low), _mm256_madd_epi16(high, high));
            _mm256_add_epi32(acc, squares)
        };

        // Counts of nibbles by table, summed per 64 bits (Muła, Kurz, Lemire, "Faster population counts using AVX2
        // instructions", 2018).
        u64_count(acc: __m256i, bits: __m256i) -> __m256i = {
            let table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
            let nibble = _mm256_set1_epi8(15);
            let low = _mm256_shuffle_epi8(table, _mm256_and_si256(bits, nibble));
            let high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(bits), nibble));
            let counts = _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
            _mm256_add_epi64(acc, counts)
        };
        bytes_flip_sign(a: __m256i) -> __m256i = _mm256_xor_si256(a, _mm256_set1_epi8(i8::MIN));
        bytes_one() -> __m256i = _mm256_set1_epi8(1);

        f32_of(raw: __m256i) -> __m256 = _mm256_castsi256_ps(raw);
        f64_of(raw: __m256i) -> __m256d = _mm256_castsi256_pd(raw);
        f32_of_f16(raw: __m128i) -> __m256 = _mm256_cvtph_ps(raw);
        f32_of_bf16(raw: __m128i) -> __m256 = {
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(raw)))
        };
        f32_of_bf16_split(raw: __m256i) -> [__m256; 2] = {
            let odd = _mm256_and_si256(raw, _mm256_set1_epi32(-0x1_0000));
            [_mm256_castsi256_ps(_mm256_slli_epi32::<16>(raw)), _mm256_castsi256_ps(odd)]
        };
        f32_of_i8(raw: u64) -> __m256 = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(raw as i64)));
        i16_of_i8(raw: __m128i) -> __m256i = _mm256_cvtepi8_epi16(raw);
        i16_of_u8(raw: __m128i) -> __m256i = _mm256_cvtepu8_epi16(raw);
    }

    loads! {
        load(at) -> __m256i = _mm256_loadu_si256(at.cast());
        load_half(at) -> __m128i = _mm_loadu_si128(at.cast());
        load_quarter(at) -> u64 = at.cast::<u64>().read_unaligned();
    }
}
