//! The portable form: plain arrays as registers. Fallback of every processor, and what the other forms are tested against.

use super::Level;
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

/// The bytes at `at`, as numbers.
macro_rules! read {
    ($at:ident, $n:literal x $element:ty) => {{
        // SAFETY: the caller of the load promises the bytes; arrays of numbers are valid for any bytes; unaligned.
        unsafe { $at.cast::<[$element; $n]>().read_unaligned() }
    }};
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

impl Isa for Scalar {
    const LEVEL: Level = Level::Scalar;
    const BYTES: usize = 32;
    const MANY_REGISTERS: bool = false;

    type F32 = [f32; 8];
    type F64 = [f64; 4];
    type I16 = [i16; 16];
    type I32 = [i32; 8];
    type Bytes = [u8; 32];
    type U64 = [u64; 4];

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn prefetch(self, _: *const u8) {}

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
    fn u64_add(self, a: Self::U64, b: Self::U64) -> Self::U64 {
        lanes!(4, i => a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    fn u64_count(self, acc: Self::U64, bits: Self::Bytes) -> Self::U64 {
        let word = |i: usize| u64::from_le_bytes(lanes!(8, byte => bits[8 * i + byte]));
        lanes!(4, i => acc[i].wrapping_add(u64::from(word(i).count_ones())))
    }
    #[inline(always)]
    fn u64_sum(self, a: Self::U64) -> u64 {
        tree(a)
    }

    #[inline(always)]
    fn dot_u8_i8(self, acc: Self::I32, a: Self::Bytes, b: Self::Bytes) -> Self::I32 {
        let product = |i: usize| i32::from(a[i]).wrapping_mul(i32::from(b[i] as i8));
        let four = |i: usize| (0..4).fold(0_i32, |sum, k| sum.wrapping_add(product(4 * i + k)));
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
    unsafe fn load_f32(self, at: *const u8) -> Self::F32 {
        let words = read!(at, 8 x [u8; 4]);
        lanes!(8, i => f32::from_le_bytes(words[i]))
    }
    #[inline(always)]
    unsafe fn load_f64(self, at: *const u8) -> Self::F64 {
        let words = read!(at, 4 x [u8; 8]);
        lanes!(4, i => f64::from_le_bytes(words[i]))
    }
    #[inline(always)]
    unsafe fn load_bytes(self, at: *const u8) -> Self::Bytes {
        read!(at, 32 x u8)
    }
    #[inline(always)]
    unsafe fn load_f16(self, at: *const u8) -> Self::F32 {
        let words = read!(at, 8 x [u8; 2]);
        lanes!(8, i => half::f16::from_le_bytes(words[i]).to_f32())
    }
    #[inline(always)]
    unsafe fn load_bf16(self, at: *const u8) -> Self::F32 {
        let words = read!(at, 8 x [u8; 2]);
        lanes!(8, i => f32::from_bits(u32::from(u16::from_le_bytes(words[i])) << 16))
    }
    #[inline(always)]
    unsafe fn load_bf16_split(self, at: *const u8) -> [Self::F32; 2] {
        let words = read!(at, 8 x [u8; 4]);
        let word = |i: usize| u32::from_le_bytes(words[i]);
        [lanes!(8, i => f32::from_bits(word(i) << 16)), lanes!(8, i => f32::from_bits(word(i) & 0xffff_0000))]
    }
    #[inline(always)]
    unsafe fn load_i8_as_f32(self, at: *const u8) -> Self::F32 {
        let bytes = read!(at, 8 x i8);
        lanes!(8, i => f32::from(bytes[i]))
    }
    #[inline(always)]
    unsafe fn load_i8(self, at: *const u8) -> Self::I16 {
        let bytes = read!(at, 16 x i8);
        lanes!(16, i => i16::from(bytes[i]))
    }
    #[inline(always)]
    unsafe fn load_u8(self, at: *const u8) -> Self::I16 {
        let bytes = read!(at, 16 x u8);
        lanes!(16, i => i16::from(bytes[i]))
    }
}
