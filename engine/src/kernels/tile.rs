//! The one reduction behind every distance: sums over the elements of some queries and some rows, several pairs at once.
//!
//! A pair's sum is made in the same order whatever the shape of the tile it is computed in, so that a pair, a scan and a
//! batch give the same bits: element `i` goes to lane `i mod (4 * lanes)` of four registers, the rest of a row is padded
//! with zeros, registers and lanes are added as a balanced tree, and the sums of every [`Arith::CHUNK`] elements are
//! added in f64.

use super::vector::{BLOCK_REGISTERS, Isa};

const N: usize = BLOCK_REGISTERS;

/// What sums are made of.
pub(super) trait Arith {
    type Vector<I: Isa>: Copy;
    type Acc<I: Isa>: Copy;
    /// Elements after which a sum is taken over into f64: bounds the rounding errors of floats, and keeps integers in
    /// 32 bits (32,768 x 255² < 2³¹). A multiple of the elements of every block.
    const CHUNK: usize;
    /// Below this a sum of squares may have lost more than its rounding error to the subnormal range.
    const SQUARES_MIN: f64;

    fn zero<I: Isa>(isa: I) -> Self::Acc<I>;
    fn total<I: Isa>(isa: I, acc: [Self::Acc<I>; N]) -> f64;
}

/// How the bytes of a row become lanes.
pub(super) trait Format {
    type Arith: Arith;
    /// Bits of an element.
    const BITS: usize;

    /// Bytes of one block; the same number of elements for formats that meet.
    fn block_bytes<I: Isa>() -> usize;
    /// Reads one block.
    ///
    /// # Safety
    /// Its bytes are readable at `at`.
    unsafe fn load<I: Isa>(isa: I, at: *const u8) -> [<Self::Arith as Arith>::Vector<I>; N];
    /// Reads the first `bytes` bytes of a block, zeros behind them.
    ///
    /// # Safety
    /// So many bytes, fewer than a block, are readable at `at`.
    unsafe fn load_part<I: Isa>(isa: I, at: *const u8, bytes: usize) -> [<Self::Arith as Arith>::Vector<I>; N];
}

/// Elements of one block.
#[inline(always)]
fn block<I: Isa, F: Format>() -> usize {
    F::block_bytes::<I>() * 8 / F::BITS
}

/// What is summed.
pub(super) trait Op<A: Arith> {
    /// Of register `k` of a block.
    fn step<I: Isa>(isa: I, k: usize, acc: A::Acc<I>, a: A::Vector<I>, b: A::Vector<I>) -> A::Acc<I>;
    /// The step of a vector with itself.
    #[inline(always)]
    fn own<I: Isa>(isa: I, k: usize, acc: A::Acc<I>, a: A::Vector<I>) -> A::Acc<I> {
        Self::step(isa, k, acc, a, a)
    }
}

pub(super) struct Single;
pub(super) struct Double;
pub(super) struct Whole;
pub(super) struct Codes;
/// bfloat16, two to a lane: instructions on these may take numbers below 2⁻¹²⁶ for zero, which sums of squares from
/// `SQUARES_MIN` on do not feel.
pub(super) struct Pairs;

macro_rules! arith {
    ($name:ident, $vector:ident, $acc:ident, $chunk:expr, $squares_min:expr, $zero:ident, $add:ident, $sum:ident) => {
        impl Arith for $name {
            type Vector<I: Isa> = I::$vector;
            type Acc<I: Isa> = I::$acc;
            const CHUNK: usize = $chunk;
            const SQUARES_MIN: f64 = $squares_min;

            #[inline(always)]
            fn zero<I: Isa>(isa: I) -> I::$acc {
                isa.$zero()
            }
            #[inline(always)]
            fn total<I: Isa>(isa: I, acc: [I::$acc; N]) -> f64 {
                let [a, b, c, d] = acc;
                #[allow(clippy::cast_lossless, reason = "f64 from f64 among them")]
                {
                    isa.$sum(isa.$add(isa.$add(a, b), isa.$add(c, d))) as f64
                }
            }
        }
    };
}

arith!(Single, F32, F32, 1 << 14, f64::from_bits((1023 - 100) << 52), f32_zero, f32_add, f32_sum);
arith!(Double, F64, F64, 1 << 14, f64::from_bits((1023 - 900) << 52), f64_zero, f64_add, f64_sum);
arith!(Pairs, Bytes, F32, 1 << 14, f64::from_bits((1023 - 70) << 52), f32_zero, f32_add, f32_sum);
arith!(Whole, I16, I32, 1 << 15, 0.0, i32_zero, i32_add, i32_sum);
arith!(Codes, Bytes, I32, 1 << 15, 0.0, i32_zero, i32_add, i32_sum);

/// Four registers, `$read` with `$k` from 0 to 3. Not `array::map`, which is not always inlined.
macro_rules! four {
    ($k:ident => $read:expr) => {
        [
            {
                let $k = 0;
                $read
            },
            {
                let $k = 1;
                $read
            },
            {
                let $k = 2;
                $read
            },
            {
                let $k = 3;
                $read
            },
        ]
    };
}

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident: $arith:ident, $bits:literal bits,
       $load:ident / $load_part:ident / $registers:literal, |$isa:ident, $raw:ident| $lanes:expr;)*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name;
            impl Format for $name {
                type Arith = $arith;
                const BITS: usize = $bits;

                #[inline(always)]
                fn block_bytes<I: Isa>() -> usize {
                    N * I::BYTES / $registers
                }
                #[inline(always)]
                unsafe fn load<I: Isa>($isa: I, at: *const u8) -> [<$arith as Arith>::Vector<I>; N] {
                    let step = I::BYTES / $registers;
                    four!(k => {
                        // SAFETY: the caller promises `N` times the bytes this reads, `step` apart.
                        let $raw = unsafe { $isa.$load(at.wrapping_add(k * step)) };
                        $lanes
                    })
                }
                #[inline(always)]
                unsafe fn load_part<I: Isa>($isa: I, at: *const u8, bytes: usize) -> [<$arith as Arith>::Vector<I>; N] {
                    let step = I::BYTES / $registers;
                    four!(k => {
                        let start = bytes.min(k * step);
                        // SAFETY: `start` and so many bytes from there are at most `bytes`, which the caller promises.
                        let $raw = unsafe { $isa.$load_part(at.wrapping_add(start), step.min(bytes - start)) };
                        $lanes
                    })
                }
            }
        )*
    };
}

formats! {
    F64: Double, 64 bits, load / load_part / 1, |isa, raw| isa.f64_of(raw);
    F32: Single, 32 bits, load / load_part / 1, |isa, raw| isa.f32_of(raw);
    F16: Single, 16 bits, load_half / load_half_part / 2, |isa, raw| isa.f32_of_f16(raw);
    /// bfloat16 in the order of the elements, to meet another type.
    Bf16: Single, 16 bits, load_half / load_half_part / 2, |isa, raw| isa.f32_of_bf16(raw);
    /// 8-bit integers to meet floats.
    I8AsF32: Single, 8 bits, load_quarter / load_quarter_part / 4, |isa, raw| isa.f32_of_i8(raw);
    I8: Whole, 8 bits, load_half / load_half_part / 2, |isa, raw| isa.i16_of_i8(raw);
    U8: Whole, 8 bits, load_half / load_half_part / 2, |isa, raw| isa.i16_of_u8(raw);
    /// bfloat16 for sums of products alone.
    Bf16Pairs: Pairs, 16 bits, load / load_part / 1, |_isa, raw| raw;
    /// `i8` as it is, to meet itself or [`I8Raised`].
    I8Plain: Codes, 8 bits, load / load_part / 1, |_isa, raw| raw;
    /// `i8` plus 128: what multiplies of an unsigned and a signed byte take.
    I8Raised: Codes, 8 bits, load / load_part / 1, |isa, raw| isa.bytes_flip_sign(raw);
}

/// bfloat16 against bfloat16: even and odd places apart, which takes half the instructions.
pub(super) struct Bf16Split;

impl Format for Bf16Split {
    type Arith = Single;
    const BITS: usize = 16;

    #[inline(always)]
    fn block_bytes<I: Isa>() -> usize {
        2 * I::BYTES
    }
    #[inline(always)]
    unsafe fn load<I: Isa>(isa: I, at: *const u8) -> [I::F32; N] {
        // SAFETY: the caller promises twice the bytes this reads.
        let first = unsafe { isa.load(at) };
        // SAFETY: as above, the second half.
        let second = unsafe { isa.load(at.wrapping_add(I::BYTES)) };
        let ([a, b], [c, d]) = (isa.f32_of_bf16_split(first), isa.f32_of_bf16_split(second));
        [a, b, c, d]
    }
    #[inline(always)]
    unsafe fn load_part<I: Isa>(isa: I, at: *const u8, bytes: usize) -> [I::F32; N] {
        let start = I::BYTES.min(bytes);
        // SAFETY: `start` is at most `bytes`, which the caller promises.
        let first = unsafe { isa.load_part(at, start) };
        // SAFETY: the rest of `bytes`.
        let second = unsafe { isa.load_part(at.wrapping_add(start), bytes - start) };
        let ([a, b], [c, d]) = (isa.f32_of_bf16_split(first), isa.f32_of_bf16_split(second));
        [a, b, c, d]
    }
}

/// bfloat16 against bfloat16 for differences, in the order of [`Bf16Split`]: each register twice, of which a step takes the
/// even places first and then the odd ones.
pub(super) struct Bf16Twice;

impl Format for Bf16Twice {
    type Arith = Pairs;
    const BITS: usize = 16;

    #[inline(always)]
    fn block_bytes<I: Isa>() -> usize {
        2 * I::BYTES
    }
    #[inline(always)]
    unsafe fn load<I: Isa>(isa: I, at: *const u8) -> [I::Bytes; N] {
        // SAFETY: the caller promises twice the bytes this reads.
        let first = unsafe { isa.load(at) };
        // SAFETY: as above, the second half.
        let second = unsafe { isa.load(at.wrapping_add(I::BYTES)) };
        [first, first, second, second]
    }
    #[inline(always)]
    unsafe fn load_part<I: Isa>(isa: I, at: *const u8, bytes: usize) -> [I::Bytes; N] {
        let start = I::BYTES.min(bytes);
        // SAFETY: `start` is at most `bytes`, which the caller promises.
        let first = unsafe { isa.load_part(at, start) };
        // SAFETY: the rest of `bytes`.
        let second = unsafe { isa.load_part(at.wrapping_add(start), bytes - start) };
        [first, first, second, second]
    }
}

/// `Σ aᵢbᵢ`.
pub(super) struct Mul;
/// `Σ (aᵢ - bᵢ)²`.
pub(super) struct SqDiff;
/// `Σ |aᵢ - bᵢ|`.
pub(super) struct AbsDiff;

macro_rules! ops {
    ($($op:ident for $arith:ident: |$isa:ident, $acc:ident, $a:ident, $b:ident| $step:expr;)*) => {
        $(
            impl Op<$arith> for $op {
                #[inline(always)]
                fn step<I: Isa>(
                    $isa: I,
                    _: usize,
                    $acc: <$arith as Arith>::Acc<I>,
                    $a: <$arith as Arith>::Vector<I>,
                    $b: <$arith as Arith>::Vector<I>,
                ) -> <$arith as Arith>::Acc<I> {
                    $step
                }
            }
        )*
    };
}

ops! {
    Mul for Single: |isa, acc, a, b| isa.f32_fma(a, b, acc);
    Mul for Double: |isa, acc, a, b| isa.f64_fma(a, b, acc);
    Mul for Whole: |isa, acc, a, b| isa.i16_dot(acc, a, b);
    SqDiff for Single: |isa, acc, a, b| { let d = isa.f32_sub(a, b); isa.f32_fma(d, d, acc) };
    SqDiff for Double: |isa, acc, a, b| { let d = isa.f64_sub(a, b); isa.f64_fma(d, d, acc) };
    Mul for Pairs: |isa, acc, a, b| isa.f32_dot_bf16(acc, a, b);
    SqDiff for Codes: |isa, acc, a, b| isa.sq_diff_i8(acc, a, b);
    SqDiff for Whole: |isa, acc, a, b| { let d = isa.i16_sub(a, b); isa.i16_dot(acc, d, d) };
    AbsDiff for Single: |isa, acc, a, b| isa.f32_add(acc, isa.f32_abs(isa.f32_sub(a, b)));
    AbsDiff for Double: |isa, acc, a, b| isa.f64_add(acc, isa.f64_abs(isa.f64_sub(a, b)));
    AbsDiff for Whole: |isa, acc, a, b| isa.i16_dot(acc, isa.i16_abs(isa.i16_sub(a, b)), isa.i16_one());
}

/// To the bits as of [`Bf16Split`] where the sum is `SQUARES_MIN` or more: a difference whose square can be seen in binary32
/// is far above the subnormal bfloat16 that it may be taken without.
impl Op<Pairs> for SqDiff {
    #[inline(always)]
    fn step<I: Isa>(isa: I, k: usize, acc: I::F32, a: I::Bytes, b: I::Bytes) -> I::F32 {
        let d = isa.f32_sub_bf16(a, b)[k % 2];
        isa.f32_fma(d, d, acc)
    }
}

/// Signed by raised bytes; a vector alone is summed up, which is what raising has to be corrected by.
impl Op<Codes> for Mul {
    #[inline(always)]
    fn step<I: Isa>(isa: I, _: usize, acc: I::I32, a: I::Bytes, b: I::Bytes) -> I::I32 {
        isa.dot_u8_i8(acc, b, a)
    }
    #[inline(always)]
    fn own<I: Isa>(isa: I, _: usize, acc: I::I32, a: I::Bytes) -> I::I32 {
        isa.dot_u8_i8(acc, isa.bytes_one(), a)
    }
}

/// The sums of `Q` queries with `R` rows, with `ROW_NORMS` of each row with itself, with `QUERY_NORMS` of each query with
/// itself (zeros otherwise).
///
/// # Safety
/// Every pointer is to `dim` readable elements of its format.
#[inline(always)]
pub(super) unsafe fn tile<I, A, B, O, const Q: usize, const R: usize, const ROW_NORMS: bool, const QUERY_NORMS: bool>(
    isa: I,
    queries: [*const u8; Q],
    rows: [*const u8; R],
    dim: usize,
) -> ([[f64; R]; Q], [f64; R], [f64; Q])
where
    I: Isa,
    A: Format,
    B: Format<Arith = A::Arith>,
    O: Op<A::Arith>,
{
    let block = block::<I, A>();
    debug_assert!(block == self::block::<I, B>() && A::Arith::CHUNK.is_multiple_of(block));
    let mut sums = [[0.0; R]; Q];
    let mut norms = [0.0; R];
    let mut query_norms = [0.0; Q];
    let mut done = 0;
    loop {
        let part = (dim - done).min(A::Arith::CHUNK);
        let mut acc = [[[<A::Arith as Arith>::zero(isa); N]; R]; Q];
        let mut acc_norms = [[<A::Arith as Arith>::zero(isa); N]; R];
        let mut acc_query_norms = [[<A::Arith as Arith>::zero(isa); N]; Q];
        let end = done + part;
        while done + block <= end {
            // SAFETY: `done + block <= dim` elements of format A are readable at every query.
            let mut a = [unsafe { A::load(isa, queries[0].wrapping_add(done * A::BITS / 8)) }; Q];
            for q in 1..Q {
                // SAFETY: as above.
                a[q] = unsafe { A::load(isa, queries[q].wrapping_add(done * A::BITS / 8)) };
            }
            if QUERY_NORMS {
                for q in 0..Q {
                    for k in 0..N {
                        acc_query_norms[q][k] = O::own(isa, k, acc_query_norms[q][k], a[q][k]);
                    }
                }
            }
            for r in 0..R {
                let at = rows[r].wrapping_add(done * B::BITS / 8);
                // SAFETY: `done + block <= dim` elements of format B are readable at the row.
                let b = unsafe { B::load(isa, at) };
                for k in 0..N {
                    for q in 0..Q {
                        acc[q][r][k] = O::step(isa, k, acc[q][r][k], a[q][k], b[k]);
                    }
                    if ROW_NORMS {
                        acc_norms[r][k] = O::own(isa, k, acc_norms[r][k], b[k]);
                    }
                }
            }
            done += block;
        }
        if done < end {
            for q in 0..Q {
                // SAFETY: `end - done` elements of format A are readable there.
                let a = unsafe { load_rest::<I, A>(isa, queries[q].wrapping_add(done * A::BITS / 8), end - done) };
                for r in 0..R {
                    // SAFETY: `end - done` elements of format B are readable there.
                    let b = unsafe { load_rest::<I, B>(isa, rows[r].wrapping_add(done * B::BITS / 8), end - done) };
                    for k in 0..N {
                        acc[q][r][k] = O::step(isa, k, acc[q][r][k], a[k], b[k]);
                        if ROW_NORMS && q == 0 {
                            acc_norms[r][k] = O::own(isa, k, acc_norms[r][k], b[k]);
                        }
                    }
                }
                if QUERY_NORMS {
                    for k in 0..N {
                        acc_query_norms[q][k] = O::own(isa, k, acc_query_norms[q][k], a[k]);
                    }
                }
            }
            done = end;
        }
        for r in 0..R {
            for q in 0..Q {
                sums[q][r] += <A::Arith as Arith>::total(isa, acc[q][r]);
            }
            if ROW_NORMS {
                norms[r] += <A::Arith as Arith>::total(isa, acc_norms[r]);
            }
        }
        if QUERY_NORMS {
            for q in 0..Q {
                query_norms[q] += <A::Arith as Arith>::total(isa, acc_query_norms[q]);
            }
        }
        if done >= dim {
            return (sums, norms, query_norms);
        }
    }
}

/// A block of fewer elements than a block has, padded with zeros.
///
/// # Safety
/// `count` elements, fewer than a block, are readable at `at`.
#[inline(always)]
unsafe fn load_rest<I: Isa, F: Format>(isa: I, at: *const u8, count: usize) -> [<F::Arith as Arith>::Vector<I>; N] {
    let bytes = count * F::BITS / 8;
    // SAFETY: `bytes` bytes, fewer than a block, are readable at `at`.
    unsafe { F::load_part(isa, at, bytes) }
}
