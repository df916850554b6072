//! AVX-512 registers. Operations of the same names, in the same order, as in the other files of this kind.

use std::arch::x86_64::*;

use super::Level;
use super::avx2::Avx2;
use super::entry::{Entry, Scan};
use super::vector::{Isa, Kernel, entry, intrinsics, loads};

/// Proof that AVX-512 F, BW, DQ, VL, VNNI, BITALG and VPOPCNTDQ are present, with AVX2, FMA and F16C; with `BF16` that as well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512<const BF16: bool = false>(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512bitalg")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        present.then_some(Avx512(()))
    }
}

impl<const BF16: bool> Isa for Avx512<BF16> {
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
        fn enabled<const BF16: bool, K: Kernel>(isa: Avx512<BF16>, kernel: K) -> K::Output {
            kernel.run(isa)
        }
        // SAFETY: the instructions enabled are those `detect` looked for, without which there is no `Avx512`.
        unsafe { enabled(self, kernel) }
    }

    #[inline(always)]
    fn entry<S: Scan>(self) -> Entry {
        entry!(
            "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bitalg,avx512vpopcntdq,avx2,fma,f16c",
            S,
            Avx512::<false>(())
        )
    }

    // Zen 4 takes 2 cycles to convert 16 numbers, and half of one to convert 8 at a time.
    #[inline(always)]
    fn narrow_entry<S: Scan>(self) -> Entry {
        Avx2::<true>::of(Avx512(())).entry::<S>()
    }

    #[inline(always)]
    fn bf16_entry<S: Scan>(self) -> Entry {
        if is_x86_feature_detected!("avx512bf16") {
            entry!(
                "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bitalg,avx512vpopcntdq,avx512bf16,avx2,fma,f16c",
                S,
                Avx512::<true>(())
            )
        } else {
            self.entry::<S>()
        }
    }

    #[inline(always)]
    fn f32_dot_bf16(self, acc: __m512, a: __m512i, b: __m512i) -> __m512 {
        if BF16 {
            // SAFETY: `self` is the proof that the instructions are present.
            return unsafe { dot_bf16(acc, a, b) };
        }
        let ([a, c], [b, d]) = (self.f32_of_bf16_split(a), self.f32_of_bf16_split(b));
        self.f32_fma(c, d, self.f32_fma(a, b, acc))
    }

    #[inline(always)]
    fn f32_sub_bf16(self, a: __m512i, b: __m512i) -> [__m512; 2] {
        let ([even_a, odd_a], [even_b, odd_b]) = (self.f32_of_bf16_split(a), self.f32_of_bf16_split(b));
        let odd = if BF16 {
            // An instruction less for half of them; of the other half it would be one more than its port takes.
            // SAFETY: `self` is the proof that the instructions are present.
            unsafe { sub_odd_bf16(odd_a, b) }
        } else {
            self.f32_sub(odd_a, odd_b)
        };
        [self.f32_sub(even_a, even_b), odd]
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
        // Becomes a number where it is: by way of an integer register that takes twice as long.
        u64_sum(a: __m512i) -> f64 = {
            let four = _mm256_add_epi64(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64::<1>(a));
            let two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256::<1>(four));
            _mm_cvtsd_f64(_mm_cvtepi64_pd(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two))))
        };
        dot_u8_i8(acc: __m512i, a: __m512i, b: __m512i) -> __m512i = _mm512_dpbusd_epi32(acc, a, b);
        // Of absolute differences d: d (d - 128) + 64 d + 64 d, as factors are unsigned and signed bytes.
        sq_diff_i8(acc: __m512i, a: __m512i, b: __m512i) -> __m512i = {
            let apart = _mm512_sub_epi8(_mm512_max_epi8(a, b), _mm512_min_epi8(a, b));
            let lowered = _mm512_xor_si512(apart, _mm512_set1_epi8(i8::MIN));
            let acc = _mm512_dpbusd_epi32(acc, apart, lowered);
            let acc = _mm512_dpbusd_epi32(acc, apart, _mm512_set1_epi8(64));
            _mm512_dpbusd_epi32(acc, apart, _mm512_set1_epi8(64))
        };
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

/// `acc` plus products of pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn dot_bf16(acc: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: both types are the 512 bits of a register, of which all values are valid.
    let [a, b] = unsafe { std::mem::transmute::<[__m512i; 2], [__m512bh; 2]>([a, b]) };
    _mm512_dpbf16_ps(acc, a, b)
}

/// `acc` minus the bfloat16 at odd places, which are multiplied by -1, their neighbours by 0.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn sub_odd_bf16(acc: __m512, b: __m512i) -> __m512 {
    dot_bf16(acc, b, _mm512_set1_epi32(-0x4080_0000))
}

/// A mask of the lowest bits, at most 64.
#[inline(always)]
fn lowest(bits: usize) -> u64 {
    if bits == 0 { 0 } else { u64::MAX >> (64 - bits) }
}
