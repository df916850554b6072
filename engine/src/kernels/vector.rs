//! What an instruction set offers: the few operations on whole registers that every algorithm of this folder is made of.
//!
//! A value of a type that implements [`Isa`] is the proof that the processor has the instructions. Algorithms are
//! written once, over `I: Isa`, and inlined into one function per instruction set ([`Isa::call`]).

use super::Level;
use super::entry::{Entry, Scan};

/// Registers that one block of a row fills. As many independent sums hide the latency of a fused multiply-add.
pub(super) const BLOCK_REGISTERS: usize = 4;

/// Largest `Isa::BYTES`.
pub(super) const BYTES_MAX: usize = 64;

/// Code to be compiled once per instruction set.
pub(super) trait Kernel {
    type Output;
    /// The algorithm; implementations are `#[inline(always)]`, so that they are compiled for `I`.
    fn run<I: Isa>(self, isa: I) -> Self::Output;
}

/// An instruction set that is present. All operations work lane by lane unless they say otherwise.
pub(super) trait Isa: Copy {
    const LEVEL: Level;
    /// Bytes of a register: 32-bit lanes are a fourth of it. At most [`BYTES_MAX`].
    const BYTES: usize;
    /// Whether there are registers for tiles of two queries and a row.
    const TWO_QUERIES: bool;
    /// Whether there are registers for tiles of two queries and two rows, or of a query and four rows.
    const TWO_ROWS: bool;

    type F32: Copy;
    type F64: Copy;
    /// 16-bit integers, `BYTES / 2` of them.
    type I16: Copy;
    /// 32-bit integers.
    type I32: Copy;
    /// `BYTES` bytes.
    type Bytes: Copy;
    /// `BYTES / 2` bytes.
    type Half: Copy;
    /// `BYTES / 4` bytes.
    type Quarter: Copy;
    /// 64-bit counts.
    type U64: Copy;

    /// Runs a kernel with the instructions enabled.
    fn call<K: Kernel>(self, kernel: K) -> K::Output;
    /// A function with the instructions enabled.
    fn entry<S: Scan>(self) -> Entry;
    /// The same with registers of half the size, where those are converted from binary16 faster.
    fn narrow_entry<S: Scan>(self) -> Entry {
        self.entry::<S>()
    }
    /// The same with the instruction for [`Isa::f32_dot_bf16`], where it is present.
    fn bf16_entry<S: Scan>(self) -> Entry {
        self.entry::<S>()
    }

    /// Zero, in every lane.
    fn f32_zero(self) -> Self::F32;
    /// `a + b`.
    fn f32_add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`.
    fn f32_sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `|a|`.
    fn f32_abs(self, a: Self::F32) -> Self::F32;
    /// `a * b + c`; rounded once where the instruction set can.
    fn f32_fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// Sum of the lanes, as a balanced tree.
    fn f32_sum(self, a: Self::F32) -> f32;
    /// `acc + a₀b₀ + a₁b₁` of neighbouring bfloat16, rounded twice at most. May take numbers below 2⁻¹²⁶ for zero.
    #[inline(always)]
    fn f32_dot_bf16(self, acc: Self::F32, a: Self::Bytes, b: Self::Bytes) -> Self::F32 {
        let ([a, c], [b, d]) = (self.f32_of_bf16_split(a), self.f32_of_bf16_split(b));
        self.f32_fma(c, d, self.f32_fma(a, b, acc))
    }
    /// `a - b` of twice as many bfloat16 as there are lanes, at even and at odd places. May take numbers below 2⁻¹²⁶ for
    /// zero, and give NaN where a neighbour is infinite.
    #[inline(always)]
    fn f32_sub_bf16(self, a: Self::Bytes, b: Self::Bytes) -> [Self::F32; 2] {
        let ([a, c], [b, d]) = (self.f32_of_bf16_split(a), self.f32_of_bf16_split(b));
        [self.f32_sub(a, b), self.f32_sub(c, d)]
    }

    /// Zero, in every lane.
    fn f64_zero(self) -> Self::F64;
    /// `a + b`.
    fn f64_add(self, a: Self::F64, b: Self::F64) -> Self::F64;
    /// `a - b`.
    fn f64_sub(self, a: Self::F64, b: Self::F64) -> Self::F64;
    /// `|a|`.
    fn f64_abs(self, a: Self::F64) -> Self::F64;
    /// `a * b + c`; rounded once where the instruction set can.
    fn f64_fma(self, a: Self::F64, b: Self::F64, c: Self::F64) -> Self::F64;
    /// Sum of the lanes, as a balanced tree.
    fn f64_sum(self, a: Self::F64) -> f64;

    /// Zero, in every lane.
    fn i32_zero(self) -> Self::I32;
    /// `a + b`, wrapping.
    fn i32_add(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Sum of the lanes, wrapping.
    fn i32_sum(self, a: Self::I32) -> i32;
    /// `a - b`, wrapping.
    fn i16_sub(self, a: Self::I16, b: Self::I16) -> Self::I16;
    /// `|a|`; -32,768 does not occur.
    fn i16_abs(self, a: Self::I16) -> Self::I16;
    /// `acc + a₀b₀ + a₁b₁` of neighbouring lanes, wrapping.
    fn i16_dot(self, acc: Self::I32, a: Self::I16, b: Self::I16) -> Self::I32;
    /// One, in every lane.
    fn i16_one(self) -> Self::I16;

    /// Bits that differ.
    fn bytes_xor(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Bits set in both.
    fn bytes_and(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Zero, in every lane.
    fn u64_zero(self) -> Self::U64;
    /// `acc` plus the set bits of each 64-bit lane.
    fn u64_count(self, acc: Self::U64, bits: Self::Bytes) -> Self::U64;
    /// Sum of the lanes, exact below 2⁵³.
    fn u64_sum(self, a: Self::U64) -> f64;

    /// `acc + Σ aᵢbᵢ` of four neighbouring bytes each, `a` unsigned and `b` signed; wrapping, never saturating. Which
    /// lane of `acc` takes which bytes is not said.
    fn dot_u8_i8(self, acc: Self::I32, a: Self::Bytes, b: Self::Bytes) -> Self::I32;
    /// `acc + Σ (aᵢ - bᵢ)²` of four signed bytes each, wrapping. Which lane of `acc` takes which bytes is not said.
    fn sq_diff_i8(self, acc: Self::I32, a: Self::Bytes, b: Self::Bytes) -> Self::I32;
    /// Every byte with its highest bit inverted: adds 128 to an `i8` and gives a `u8`.
    fn bytes_flip_sign(self, a: Self::Bytes) -> Self::Bytes;
    /// One, in every byte.
    fn bytes_one(self) -> Self::Bytes;

    /// The lanes of a whole register, as numbers of another kind; exact.
    fn f32_of(self, raw: Self::Bytes) -> Self::F32;
    /// As [`Isa::f32_of`].
    fn f64_of(self, raw: Self::Bytes) -> Self::F64;
    /// Widens binary16; exact.
    fn f32_of_f16(self, raw: Self::Half) -> Self::F32;
    /// Widens bfloat16; exact.
    fn f32_of_bf16(self, raw: Self::Half) -> Self::F32;
    /// Widens twice as many bfloat16 as there are lanes: those at even places, those at odd places; exact.
    fn f32_of_bf16_split(self, raw: Self::Bytes) -> [Self::F32; 2];
    /// Widens integers; exact.
    fn f32_of_i8(self, raw: Self::Quarter) -> Self::F32;
    /// Widens integers; exact.
    fn i16_of_i8(self, raw: Self::Half) -> Self::I16;
    /// Widens integers; exact.
    fn i16_of_u8(self, raw: Self::Half) -> Self::I16;

    /// # Safety
    /// `BYTES` bytes are readable at `at`.
    unsafe fn load(self, at: *const u8) -> Self::Bytes;
    /// # Safety
    /// `BYTES / 2` bytes are readable at `at`.
    unsafe fn load_half(self, at: *const u8) -> Self::Half;
    /// # Safety
    /// `BYTES / 4` bytes are readable at `at`.
    unsafe fn load_quarter(self, at: *const u8) -> Self::Quarter;

    /// As [`Isa::load`] of fewer bytes, zeros behind them.
    /// # Safety
    /// `bytes` bytes, at most `BYTES`, are readable at `at`.
    #[inline(always)]
    unsafe fn load_part(self, at: *const u8, bytes: usize) -> Self::Bytes {
        // SAFETY: as the caller promises.
        let padded = unsafe { padded(at, bytes) };
        // SAFETY: an array of `BYTES_MAX` bytes.
        unsafe { self.load(padded.as_ptr()) }
    }
    /// As [`Isa::load_half`] of fewer bytes, zeros behind them.
    /// # Safety
    /// `bytes` bytes, at most `BYTES / 2`, are readable at `at`.
    #[inline(always)]
    unsafe fn load_half_part(self, at: *const u8, bytes: usize) -> Self::Half {
        // SAFETY: as the caller promises.
        let padded = unsafe { padded(at, bytes) };
        // SAFETY: an array of `BYTES_MAX` bytes.
        unsafe { self.load_half(padded.as_ptr()) }
    }
    /// As [`Isa::load_quarter`] of fewer bytes, zeros behind them.
    /// # Safety
    /// `bytes` bytes, at most `BYTES / 4`, are readable at `at`.
    #[inline(always)]
    unsafe fn load_quarter_part(self, at: *const u8, bytes: usize) -> Self::Quarter {
        // SAFETY: as the caller promises.
        let padded = unsafe { padded(at, bytes) };
        // SAFETY: an array of `BYTES_MAX` bytes.
        unsafe { self.load_quarter(padded.as_ptr()) }
    }
}

/// Some bytes, and zeros.
///
/// # Safety
/// `bytes` bytes, at most `BYTES_MAX`, are readable at `at`.
#[inline(always)]
unsafe fn padded(at: *const u8, bytes: usize) -> [u8; BYTES_MAX] {
    let mut padded = [0; BYTES_MAX];
    debug_assert!(bytes <= BYTES_MAX);
    // SAFETY: readable as the caller promises, and within the array.
    unsafe { std::ptr::copy_nonoverlapping(at, padded.as_mut_ptr(), bytes) };
    padded
}

/// Operations made of the intrinsics of `$features`: `name(arguments) -> result = expression;`.
#[cfg(target_arch = "x86_64")]
macro_rules! intrinsics {
    ($features:literal; $($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $result:ty = $call:expr;)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            fn $name(self, $($arg: $type),*) -> $result {
                #[inline]
                #[target_feature(enable = $features)]
                fn enabled($($arg: $type),*) -> $result {
                    $call
                }
                // SAFETY: the instructions are present, of which `self` is the proof.
                unsafe { enabled($($arg),*) }
            }
        )*
    };
}

/// The entry of scan `$scan` by instruction set `$isa`, which has the instructions of `$features`.
#[cfg(target_arch = "x86_64")]
macro_rules! entry {
    ($features:literal, $scan:ident, $isa:expr) => {{
        #[target_feature(enable = $features)]
        unsafe fn enabled<S: Scan>(
            query: *const u8,
            rows: *const u8,
            stride: usize,
            count: usize,
            dim: usize,
            out: *mut f64,
        ) -> f64 {
            // SAFETY: the caller promises what `run` asks for, and had the proof of the instructions to get here.
            unsafe { S::run($isa, query, rows, stride, count, dim, out) }
        }
        enabled::<$scan>
    }};
}

/// Reads made of one intrinsic each: `name(pointer) -> result = read;`.
#[cfg(target_arch = "x86_64")]
macro_rules! loads {
    ($($name:ident($at:ident) -> $result:ty = $load:expr;)*) => {
        $(
            #[inline(always)]
            unsafe fn $name(self, $at: *const u8) -> $result {
                // SAFETY: the caller promises as many bytes as this reads; it needs no alignment; `self` is the proof
                // that the instructions are present.
                unsafe { $load }
            }
        )*
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use {entry, intrinsics, loads};
