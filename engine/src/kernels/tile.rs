//! The one reduction behind every distance: sums over the elements of some queries and some rows, several pairs at once.
//!
//! A pair's sum is made in the same order whatever the shape of the tile it is computed in, so that a pair, a scan and a
//! batch give the same bits: element `i` goes to lane `i mod (4 * lanes)` of four registers, the rest of a row is padded
//! with zeros, registers and lanes are added as a balanced tree, and the sums of every [`Arith::CHUNK`] elements are
//! added in f64.

use super::vector::{BLOCK_REGISTERS, BYTES_MAX, Isa};

const N: usize = BLOCK_REGISTERS;

/// What sums are made of.
pub(super) trait Arith {
    type Vector<I: Isa>: Copy;
    type Acc<I: Isa>: Copy;
    /// Elements after which a sum is taken over into f64: bounds the rounding errors of floats, and keeps integers in
    /// 32 bits (32,768 x 255² < 2³¹). A multiple of the elements of every block.
    const CHUNK: usize;

    fn zero<I: Isa>(isa: I) -> Self::Acc<I>;
    fn total<I: Isa>(isa: I, acc: [Self::Acc<I>; N]) -> f64;
}

/// How the bytes of a row become lanes.
pub(super) trait Format {
    type Arith: Arith;
    /// Bits of an element.
    const BITS: usize;

    /// Reads one block: [`block_bytes`] bytes.
    ///
    /// # Safety
    /// That many bytes are readable at `at`.
    unsafe fn load<I: Isa>(isa: I, at: *const u8) -> [<Self::Arith as Arith>::Vector<I>; N];
    /// Elements of one block.
    fn block<I: Isa>() -> usize;
}

/// Bytes of one block of `F`; at most `N * BYTES_MAX`.
#[inline(always)]
fn block_bytes<I: Isa, F: Format>() -> usize {
    F::block::<I>() * F::BITS / 8
}

/// What is summed.
pub(super) trait Op<A: Arith> {
    fn step<I: Isa>(isa: I, acc: A::Acc<I>, a: A::Vector<I>, b: A::Vector<I>) -> A::Acc<I>;
}

pub(super) struct Single;
pub(super) struct Double;
pub(super) struct Whole;
pub(super) struct Bits;
pub(super) struct Codes;

macro_rules! arith {
    ($name:ident, $vector:ident, $acc:ident, $chunk:expr, $zero:ident, $add:ident, $sum:ident) => {
        impl Arith for $name {
            type Vector<I: Isa> = I::$vector;
            type Acc<I: Isa> = I::$acc;
            const CHUNK: usize = $chunk;

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

arith!(Single, F32, F32, 1 << 14, f32_zero, f32_add, f32_sum);
arith!(Double, F64, F64, 1 << 14, f64_zero, f64_add, f64_sum);
arith!(Whole, I16, I32, 1 << 15, i32_zero, i32_add, i32_sum);
arith!(Codes, Bytes, I32, 1 << 15, i32_zero, i32_add, i32_sum);
arith!(Bits, Bytes, U64, 1 << 24, u64_zero, u64_add, u64_sum);

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident: $arith:ident, $bits:literal bits, block $block:expr,
       |$isa:ident, $at:ident| $load:expr;)*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name;
            impl Format for $name {
                type Arith = $arith;
                const BITS: usize = $bits;

                #[inline(always)]
                unsafe fn load<I: Isa>($isa: I, $at: *const u8) -> [<$arith as Arith>::Vector<I>; N] {
                    $load
                }
                #[inline(always)]
                fn block<I: Isa>() -> usize {
                    $block
                }
            }
        )*
    };
}

/// Four registers from `at`, each from `step` bytes.
macro_rules! four {
    ($isa:ident.$load:ident($at:ident), $step:expr) => {{
        // SAFETY: `load` promises a block at `at`: four times the bytes this reads, `step` apart.
        let a = unsafe { $isa.$load($at) };
        // SAFETY: as above.
        let b = unsafe { $isa.$load($at.wrapping_add($step)) };
        // SAFETY: as above.
        let c = unsafe { $isa.$load($at.wrapping_add(2 * $step)) };
        // SAFETY: as above.
        let d = unsafe { $isa.$load($at.wrapping_add(3 * $step)) };
        [a, b, c, d]
    }};
}

formats! {
    F64: Double, 64 bits, block I::BYTES / 2, |isa, at| four!(isa.load_f64(at), I::BYTES);
    F32: Single, 32 bits, block I::BYTES, |isa, at| four!(isa.load_f32(at), I::BYTES);
    F16: Single, 16 bits, block I::BYTES, |isa, at| four!(isa.load_f16(at), I::BYTES / 2);
    /// bfloat16 in the order of the elements, to meet another type.
    Bf16: Single, 16 bits, block I::BYTES, |isa, at| four!(isa.load_bf16(at), I::BYTES / 2);
    /// bfloat16 against bfloat16: even and odd places apart, which takes half the instructions.
    Bf16Split: Single, 16 bits, block I::BYTES, |isa, at| {
        // SAFETY: `load` promises a block at `at`: twice the bytes this reads.
        let [a, b] = unsafe { isa.load_bf16_split(at) };
        // SAFETY: as above, the second half.
        let [c, d] = unsafe { isa.load_bf16_split(at.wrapping_add(I::BYTES)) };
        [a, b, c, d]
    };
    /// 8-bit integers to meet floats.
    I8AsF32: Single, 8 bits, block I::BYTES, |isa, at| four!(isa.load_i8_as_f32(at), I::BYTES / 4);
    I8: Whole, 8 bits, block 2 * I::BYTES, |isa, at| four!(isa.load_i8(at), I::BYTES / 2);
    U8: Whole, 8 bits, block 2 * I::BYTES, |isa, at| four!(isa.load_u8(at), I::BYTES / 2);
    /// `i8` as it is, to meet [`I8Raised`].
    I8Plain: Codes, 8 bits, block 4 * I::BYTES, |isa, at| four!(isa.load_bytes(at), I::BYTES);
    /// `i8` plus 128: what multiplies of an unsigned and a signed byte take.
    I8Raised: Codes, 8 bits, block 4 * I::BYTES, |isa, at| {
        four!(isa.load_bytes(at), I::BYTES).map(|bytes| isa.bytes_flip_sign(bytes))
    };
    /// Ones, whatever there is, to sum up [`I8Plain`].
    Ones: Codes, 8 bits, block 4 * I::BYTES, |isa, _at| [isa.bytes_one(); N];
    B1: Bits, 1 bits, block 32 * I::BYTES, |isa, at| four!(isa.load_bytes(at), I::BYTES);
}

/// `Σ aᵢbᵢ`; for bits, how many are set in both.
pub(super) struct Mul;
/// `Σ (aᵢ - bᵢ)²`; for bits, how many differ.
pub(super) struct SqDiff;
/// `Σ |aᵢ - bᵢ|`; for bits, how many differ.
pub(super) struct AbsDiff;

macro_rules! ops {
    ($($op:ident for $arith:ident: |$isa:ident, $acc:ident, $a:ident, $b:ident| $step:expr;)*) => {
        $(
            impl Op<$arith> for $op {
                #[inline(always)]
                fn step<I: Isa>(
                    $isa: I,
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
    Mul for Bits: |isa, acc, a, b| isa.u64_count(acc, isa.bytes_and(a, b));
    Mul for Codes: |isa, acc, a, b| isa.dot_u8_i8(acc, b, a);
    SqDiff for Single: |isa, acc, a, b| { let d = isa.f32_sub(a, b); isa.f32_fma(d, d, acc) };
    SqDiff for Double: |isa, acc, a, b| { let d = isa.f64_sub(a, b); isa.f64_fma(d, d, acc) };
    SqDiff for Whole: |isa, acc, a, b| { let d = isa.i16_sub(a, b); isa.i16_dot(acc, d, d) };
    SqDiff for Bits: |isa, acc, a, b| isa.u64_count(acc, isa.bytes_xor(a, b));
    AbsDiff for Single: |isa, acc, a, b| isa.f32_add(acc, isa.f32_abs(isa.f32_sub(a, b)));
    AbsDiff for Double: |isa, acc, a, b| isa.f64_add(acc, isa.f64_abs(isa.f64_sub(a, b)));
    AbsDiff for Whole: |isa, acc, a, b| isa.i16_dot(acc, isa.i16_abs(isa.i16_sub(a, b)), isa.i16_one());
    AbsDiff for Bits: |isa, acc, a, b| isa.u64_count(acc, isa.bytes_xor(a, b));
}

/// The sums of `Q` queries with `R` rows, and, with `NORMS`, of each row with itself.
///
/// `ahead` is how many bytes further the next tiles' rows lie; they are prefetched. 0 for none.
///
/// # Safety
/// Every pointer is to `dim` readable elements of its format.
#[inline(always)]
pub(super) unsafe fn tile<I, A, B, O, const Q: usize, const R: usize, const NORMS: bool>(
    isa: I,
    queries: [*const u8; Q],
    rows: [*const u8; R],
    dim: usize,
    ahead: usize,
) -> ([[f64; R]; Q], [f64; R])
where
    I: Isa,
    A: Format,
    B: Format<Arith = A::Arith>,
    O: Op<A::Arith>,
{
    let block = A::block::<I>();
    debug_assert!(block == B::block::<I>() && A::Arith::CHUNK.is_multiple_of(block));
    let mut sums = [[0.0; R]; Q];
    let mut norms = [0.0; R];
    let mut done = 0;
    loop {
        let part = (dim - done).min(A::Arith::CHUNK);
        let mut acc = [[[<A::Arith as Arith>::zero(isa); N]; R]; Q];
        let mut acc_norms = [[<A::Arith as Arith>::zero(isa); N]; R];
        let end = done + part;
        while done + block <= end {
            let a = queries.map(|query| {
                // SAFETY: `done + block <= dim` elements of format A are readable at the query.
                unsafe { A::load(isa, query.wrapping_add(done * A::BITS / 8)) }
            });
            for r in 0..R {
                let at = rows[r].wrapping_add(done * B::BITS / 8);
                // SAFETY: `done + block <= dim` elements of format B are readable at the row.
                let b = unsafe { B::load(isa, at) };
                if ahead != 0 {
                    let mut line = 0;
                    while line < block_bytes::<I, B>() {
                        isa.prefetch(at.wrapping_add(ahead + line));
                        line += 64;
                    }
                }
                for k in 0..N {
                    for q in 0..Q {
                        acc[q][r][k] = O::step(isa, acc[q][r][k], a[q][k], b[k]);
                    }
                    if NORMS {
                        acc_norms[r][k] = O::step(isa, acc_norms[r][k], b[k], b[k]);
                    }
                }
            }
            done += block;
        }
        if done < end {
            for r in 0..R {
                // SAFETY: `end - done` elements of format B are readable there.
                let b = unsafe { load_rest::<I, B>(isa, rows[r].wrapping_add(done * B::BITS / 8), end - done) };
                for q in 0..Q {
                    // SAFETY: `end - done` elements of format A are readable there.
                    let a = unsafe { load_rest::<I, A>(isa, queries[q].wrapping_add(done * A::BITS / 8), end - done) };
                    for k in 0..N {
                        acc[q][r][k] = O::step(isa, acc[q][r][k], a[k], b[k]);
                    }
                }
                if NORMS {
                    for k in 0..N {
                        acc_norms[r][k] = O::step(isa, acc_norms[r][k], b[k], b[k]);
                    }
                }
            }
            done = end;
        }
        for r in 0..R {
            for q in 0..Q {
                sums[q][r] += <A::Arith as Arith>::total(isa, acc[q][r]);
            }
            if NORMS {
                norms[r] += <A::Arith as Arith>::total(isa, acc_norms[r]);
            }
        }
        if done >= dim {
            return (sums, norms);
        }
    }
}

/// A block of fewer elements than a block has, padded with zeros.
///
/// # Safety
/// `count` elements, fewer than a block, are readable at `at`.
#[inline(always)]
unsafe fn load_rest<I: Isa, F: Format>(isa: I, at: *const u8, count: usize) -> [<F::Arith as Arith>::Vector<I>; N] {
    let mut buffer = [0_u8; N * BYTES_MAX];
    let bits = count * F::BITS;
    let bytes = bits.div_ceil(8);
    debug_assert!(count < F::block::<I>() && block_bytes::<I, F>() <= buffer.len());
    // SAFETY: `bytes` is what `count` elements take: readable at `at`, and less than a block, which the buffer holds.
    unsafe { std::ptr::copy_nonoverlapping(at, buffer.as_mut_ptr(), bytes) };
    if F::BITS == 1 && !bits.is_multiple_of(8) {
        buffer[bytes - 1] &= (1 << (bits % 8)) - 1;
    }
    // SAFETY: the buffer holds a block.
    unsafe { F::load(isa, buffer.as_ptr()) }
}
