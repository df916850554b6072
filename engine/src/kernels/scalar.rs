//! The portable form: plain arrays as registers. Fallback of every processor, and what the other forms are tested against.

use super::Level;
use super::entry::{Entry, Scan};
use super::vector::{Isa, Kernel};

/// No instructions beyond those the crate was compiled for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar;

/// `[f(x₀, ..), f(x₁, ..), ..]`, unrolled.
macro_rules! lanes {
    ($n:literal, $i:ident => $value:expr) => {
        std::array::from_fn::<_, $n, _>(|$i| $value)
    };
}

/// The `$i`-th group of `$n` bytes.
macro_rules! part {
    ($raw:ident, $n:literal, $i:ident) => {
        lanes!($n, k => $raw[$n * $i + k])
    };
}

fn tree<T: Copy + std::ops::Add<Output = T>, const N: usize>(mut a: [T; N]) -> T {
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            a[i] = a[i] + a[i + half];
        }
        half /= 2;
    }
    a[0]
}

/// One copy for all kernels: without the instruction it is long.
#[inline(never)]
fn widen_f16(raw: [u8; 16]) -> [f32; 8] {
    lanes!(8, i => half::f16::from_le_bytes(part!(raw, 2, i)).to_f32())
}

impl Isa for Scalar {
    const LEVEL: Level = Level::Scalar;
    const BYTES: usize = 32;
    const TWO_QUERIES: bool = false;
    const TWO_ROWS: bool = false;

    type F32 = [f32; 8];
    type F64 = [f64; 4];
    type I16 = [i16; 16];
    type I32 = [i32; 8];
    type Bytes = [u8; 32];
    type Half = [u8; 16];
    type Quarter = [u8; 8];
    type U64 = [u64; 4];

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // One copy per kernel, as of the other instruction sets.
        #[inline(never)]
        fn enabled<K: Kernel>(isa: Scalar, kernel: K) -> K::Output {
            kernel.run(isa)
        }
        enabled(self, kernel)
    }

    #[inline(always)]
    fn entry<S: Scan>(self) -> Entry {
        #[inline(never)]
        unsafe fn enabled<S: Scan>(
            query: *const u8,
            rows: *const u8,
            stride: usize,
            count: usize,
            dim: usize,
            out: *mut f64,
        ) -> f64 {
            // SAFETY: the caller promises what `run` asks for.
            unsafe { S::run(Scalar, query, rows, stride, count, dim, out) }
        }
        enabled::<S>
    }

    #[inline(always)]
    fn f32_zero(self) -> Self::F32 {
        [0.0; 8]
    }
    #[inline(always)]
    fn f32_add(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        lanes!(8, i => a[i] + b[i])
    }
    #[inline(always)]
    fn f32_sub(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        lanes!(8, i => a[i] - b[i])
    }
    #[inline(always)]
    fn f32_abs(self, a: Self::F32) -> Self::F32 {
        lanes!(8, i => a[i].abs())
    }
    #[inline(always)]
    fn f32_fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        // Rounded twice: `mul_add` without the instruction is a call per element.
        lanes!(8, i => a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn f32_sum(self, a: Self::F32) -> f32 {
        tree(a)
    }

    #[inline(always)]
    fn f64_zero(self) -> Self::F64 {
        [0.0; 4]
    }
    #[inline(always)]
    fn f64_add(self, a: Self::F64, b: Self::F64) -> Self::F64 {
        lanes!(4, i => a[i] + b[i])
    }
    #[inline(always)]
    fn f64_sub(self, a: Self::F64, b: Self::F64) -> Self::F64 {
        lanes!(4, i => a[i] - b[i])
    }
    #[inline(always)]
    fn f64_abs(self, a: Self::F64) -> Self::F64 {
        lanes!(4, i => a[i].abs())
    }
    #[inline(always)]
    fn f64_fma(self, a: Self::F64, b: Self::F64, c: Self::F64) -> Self::F64 {
        lanes!(4, i => a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn f64_sum(self, a: Self::F64) -> f64 {
        tree(a)
    }

    #[inline(always)]
    fn i32_zero(self) -> Self::I32 {
        [0; 8]
    }
    #[inline(always)]
    fn i32_add(self, a: Self::I32, b: Self::I32) -> Self::I32 {
        lanes!(8, i => a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    fn i32_sum(self, a: Self::I32) -> i32 {
        a.iter().fold(0, |sum, &x| sum.wrapping_add(x))
    }
    #[inline(always)]
    fn i16_sub(self, a: Self::I16, b: Self::I16) -> Self::I16 {
        lanes!(16, i => a[i].wrapping_sub(b[i]))
    }
    #[inline(always)]
    fn i16_abs(self, a: Self::I16) -> Self::I16 {
        lanes!(16, i => a[i].wrapping_abs())
    }
    #[inline(always)]
    fn i16_dot(self, acc: Self::I32, a: Self::I16, b: Self::I16) -> Self::I32 {
        let product = |i: usize| i32::from(a[i]).wrapping_mul(i32::from(b[i]));
        lanes!(8, i => acc[i].wrapping_add(product(2 * i)).wrapping_add(product(2 * i + 1)))
    }
    #[inline(always)]
    fn i16_one(self) -> Self::I16 {
        [1; 16]
    }

    #[inline(always)]
    fn bytes_xor(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        lanes!(32, i => a[i] ^ b[i])
    }
    #[inline(always)]
    fn bytes_and(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        lanes!(32, i => a[i] & b[i])
    }
    #[inline(always)]
    fn u64_zero(self) -> Self::U64 {
        [0; 4]
    }
    #[inline(always)]
    fn u64_count(self, acc: Self::U64, bits: Self::Bytes) -> Self::U64 {
        let word = |i: usize| u64::from_le_bytes(lanes!(8, byte => bits[8 * i + byte]));
        lanes!(4, i => acc[i].wrapping_add(u64::from(word(i).count_ones())))
    }
    #[inline(always)]
    fn u64_sum(self, a: Self::U64) -> f64 {
        tree(a) as f64
    }

    #[inline(always)]
    fn dot_u8_i8(self, acc: Self::I32, a: Self::Bytes, b: Self::Bytes) -> Self::I32 {
        let product = |i: usize| i32::from(a[i]).wrapping_mul(i32::from(b[i] as i8));
        let four = |i: usize| (0..4).fold(0_i32, |sum, k| sum.wrapping_add(product(4 * i + k)));
        lanes!(8, i => acc[i].wrapping_add(four(i)))
    }
    #[inline(always)]
    fn sq_diff_i8(self, acc: Self::I32, a: Self::Bytes, b: Self::Bytes) -> Self::I32 {
        let square = |i: usize| i32::from((a[i] as i8).abs_diff(b[i] as i8)).pow(2);
        let four = |i: usize| (0..4).fold(0_i32, |sum, k| sum.wrapping_add(square(4 * i + k)));
        lanes!(8, i => acc[i].wrapping_add(four(i)))
    }
    #[inline(always)]
    fn bytes_flip_sign(self, a: Self::Bytes) -> Self::Bytes {
        lanes!(32, i => a[i] ^ 0x80)
    }
    #[inline(always)]
    fn bytes_one(self) -> Self::Bytes {
        [1; 32]
    }

    #[inline(always)]
    fn f32_of(self, raw: Self::Bytes) -> Self::F32 {
        lanes!(8, i => f32::from_le_bytes(part!(raw, 4, i)))
    }
    #[inline(always)]
    fn f64_of(self, raw: Self::Bytes) -> Self::F64 {
        lanes!(4, i => f64::from_le_bytes(part!(raw, 8, i)))
    }
    #[inline(always)]
    fn f32_of_f16(self, raw: Self::Half) -> Self::F32 {
        widen_f16(raw)
    }
    #[inline(always)]
    fn f32_of_bf16(self, raw: Self::Half) -> Self::F32 {
        lanes!(8, i => f32::from_le_bytes([0, 0, raw[2 * i], raw[2 * i + 1]]))
    }
    #[inline(always)]
    fn f32_of_bf16_split(self, raw: Self::Bytes) -> [Self::F32; 2] {
        let even = lanes!(8, i => f32::from_le_bytes([0, 0, raw[4 * i], raw[4 * i + 1]]));
        [even, lanes!(8, i => f32::from_le_bytes([0, 0, raw[4 * i + 2], raw[4 * i + 3]]))]
    }
    #[inline(always)]
    fn f32_of_i8(self, raw: Self::Quarter) -> Self::F32 {
        lanes!(8, i => f32::from(raw[i] as i8))
    }
    #[inline(always)]
    fn i16_of_i8(self, raw: Self::Half) -> Self::I16 {
        lanes!(16, i => i16::from(raw[i] as i8))
    }
    #[inline(always)]
    fn i16_of_u8(self, raw: Self::Half) -> Self::I16 {
        lanes!(16, i => i16::from(raw[i]))
    }

    #[inline(always)]
    unsafe fn load(self, at: *const u8) -> Self::Bytes {
        // SAFETY: the caller promises these bytes; any bytes are valid; they need no alignment.
        unsafe { at.cast::<Self::Bytes>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_half(self, at: *const u8) -> Self::Half {
        // SAFETY: as above.
        unsafe { at.cast::<Self::Half>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_quarter(self, at: *const u8) -> Self::Quarter {
        // SAFETY: as above.
        unsafe { at.cast::<Self::Quarter>().read_unaligned() }
    }
}
