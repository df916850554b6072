//! Conversions among the float types (f64, f32, f16, bf16, f8e4m3, f8e5m2), each rounded exactly once.
//!
//! **Rounding** is to nearest, ties to even (IEEE 754 section 4.3.1), straight from the source type to the target type:
//! f64 to f16, for one, never passes through f32. Subnormal numbers are kept on both sides, and so is the sign of zero.
//!
//! **8-bit types** are those of the OCP 8-bit Floating Point Specification (OFP8) 1.0, known in `ml_dtypes` as
//! `float8_e4m3fn` (largest value 448, no infinity, one NaN per sign) and `float8_e5m2` (largest value 57,344).
//!
//! **Overflow** is decided by [`Overflow`]. **NaN** stays NaN and keeps its sign. Among the types of 16 bits and more
//! it also keeps the leading bits of its payload and becomes quiet, as the x86 conversions and the crate `half` do; from
//! and to an 8-bit type it becomes the one canonical NaN of the target, as in `ml_dtypes`.
//!
//! The result has the same bits on every machine, whichever instruction set is used.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use half::{bf16, f16};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unalign, Unaligned};

use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};

use super::dispatch::{self, Level};

/// What a number beyond the largest finite one of the target becomes. "Beyond" is judged after rounding.
///
/// The choice matters only where the target has a smaller range than the source (f64 > f32 > bf16 > f16 > f8e5m2 >
/// f8e4m3); an infinity always survives a conversion to a larger range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Infinity of the same sign; NaN in f8e4m3, which has no infinity. The rule of IEEE 754 and of `ml_dtypes`.
    #[default]
    Infinity,
    /// The largest finite number of the same sign, for infinities too: the saturating mode of OFP8 1.0.
    Saturate,
}

/// An 8-bit float with 4 exponent and 3 mantissa bits ([`DType::F8E4M3`]), as its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct F8E4M3(pub u8);

/// An 8-bit float with 5 exponent and 2 mantissa bits ([`DType::F8E5M2`]), as its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct F8E5M2(pub u8);

mod sealed {
    pub trait Sealed {}
}

/// A float type: `f64`, `f32`, `f16`, `bf16`, [`F8E4M3`], [`F8E5M2`]. Sealed.
pub trait Float: sealed::Sealed + Copy + FromBytes + IntoBytes + Immutable + KnownLayout + 'static {
    /// The element type.
    const DTYPE: DType;

    /// The same number as an f64; always exact.
    fn to_f64(self) -> f64;

    /// The number of this type nearest to `value`, ties to even.
    fn from_f64(value: f64, overflow: Overflow) -> Self;
}

/// Converts elements of type `from` to type `to`. Bytes are little-endian and of any alignment.
///
/// Between equal types the bytes are copied. Fails with `Unsupported` when one of the types is no float type, and with
/// `InvalidShape` unless both slices hold the same number of whole elements; then `target` is not touched. Does not
/// allocate.
pub fn convert(source: &[u8], from: DType, target: &mut [u8], to: DType, overflow: Overflow) -> Result<()> {
    let from_bytes = float_bytes(from)?;
    let to_bytes = float_bytes(to)?;
    if !source.len().is_multiple_of(from_bytes)
        || !target.len().is_multiple_of(to_bytes)
        || source.len() / from_bytes != target.len() / to_bytes
    {
        let what = format!(
            "{} bytes of {from} and {} bytes of {to} are not the same number of elements",
            source.len(),
            target.len()
        );
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    convert_on(dispatch::isa(), source, from, target, to, overflow);
    Ok(())
}

/// As [`convert`], for slices of numbers. Fails with `InvalidShape` when the lengths differ.
pub fn convert_slice<S: Float, T: Float>(source: &[S], target: &mut [T], overflow: Overflow) -> Result<()> {
    convert(source.as_bytes(), S::DTYPE, target.as_mut_bytes(), T::DTYPE, overflow)
}

/// How the bits of a narrow float are to be read. Codes are given without the sign, which is the highest bit.
struct Layout {
    bits: u32,
    mantissa_bits: u32,
    bias: i32,
    /// The largest finite number.
    max: u64,
    /// What follows on it: infinity, or the NaN that stands for it in f8e4m3.
    beyond: u64,
    /// The canonical quiet NaN.
    nan: u64,
    /// Whether a NaN keeps its payload.
    payload: bool,
}

const F32: Layout = Layout {
    bits: 32,
    mantissa_bits: 23,
    bias: 127,
    max: 0x7f7f_ffff,
    beyond: 0x7f80_0000,
    nan: 0x7fc0_0000,
    payload: true,
};
const F16: Layout =
    Layout { bits: 16, mantissa_bits: 10, bias: 15, max: 0x7bff, beyond: 0x7c00, nan: 0x7e00, payload: true };
const BF16: Layout =
    Layout { bits: 16, mantissa_bits: 7, bias: 127, max: 0x7f7f, beyond: 0x7f80, nan: 0x7fc0, payload: true };
const E4M3: Layout = Layout { bits: 8, mantissa_bits: 3, bias: 7, max: 0x7e, beyond: 0x7f, nan: 0x7f, payload: false };
const E5M2: Layout = Layout { bits: 8, mantissa_bits: 2, bias: 15, max: 0x7b, beyond: 0x7c, nan: 0x7e, payload: false };

const F64_MANTISSA_BITS: u32 = 52;
const F64_BIAS: i32 = 1023;
const F64_QUIET: u64 = 1 << 51;

/// The value of a code. Every narrow float is also an f64, subnormal ones included.
const fn decode(code: u64, layout: &Layout) -> f64 {
    let sign = (code >> (layout.bits - 1)) << 63;
    let magnitude = code & ((1 << (layout.bits - 1)) - 1);
    let fraction = magnitude & ((1 << layout.mantissa_bits) - 1);
    let fraction_high = fraction << (F64_MANTISSA_BITS - layout.mantissa_bits);
    let exponent = (magnitude >> layout.mantissa_bits) as i32;
    if magnitude > layout.max {
        if magnitude == layout.beyond && layout.beyond != layout.nan {
            return f64::from_bits(sign | f64::INFINITY.to_bits());
        }
        let payload = if layout.payload { fraction_high } else { 0 };
        return f64::from_bits(sign | f64::INFINITY.to_bits() | F64_QUIET | payload);
    }
    if exponent == 0 {
        // A whole number of the smallest steps, 2^(1 - bias - mantissa_bits); the product is exact.
        let step = (1 - layout.bias - layout.mantissa_bits as i32 + F64_BIAS) as u64;
        let value = fraction as f64 * f64::from_bits(step << F64_MANTISSA_BITS);
        return f64::from_bits(value.to_bits() | sign);
    }
    let exponent = (exponent - layout.bias + F64_BIAS) as u64;
    f64::from_bits(sign | exponent << F64_MANTISSA_BITS | fraction_high)
}

/// The code nearest to a value, ties to even.
#[inline]
fn encode(value: f64, layout: &Layout, overflow: Overflow) -> u64 {
    let bits = value.to_bits();
    let sign = (bits >> 63) << (layout.bits - 1);
    let fraction = bits & ((1 << F64_MANTISSA_BITS) - 1);
    if value.is_nan() {
        let payload = if layout.payload { fraction >> (F64_MANTISSA_BITS - layout.mantissa_bits) } else { 0 };
        return sign | layout.nan | payload;
    }
    let beyond = match overflow {
        Overflow::Infinity => layout.beyond,
        Overflow::Saturate => layout.max,
    };
    if value.is_infinite() {
        return sign | beyond;
    }
    let exponent = ((bits << 1) >> (F64_MANTISSA_BITS + 1)) as i32 - F64_BIAS;
    // Steps above the smallest normal exponent; below it the step stays the same and the significand loses bits.
    let above = exponent - (1 - layout.bias);
    // 54 and more bits lost: even the largest significand is less than half a step. (An f64 subnormal is far below.)
    let lost = (F64_MANTISSA_BITS - layout.mantissa_bits).saturating_add(above.min(0).unsigned_abs()).min(54);
    let significand = fraction | 1 << F64_MANTISSA_BITS;
    let kept = significand >> lost;
    let remainder = significand & ((1 << lost) - 1);
    let half = 1 << (lost - 1);
    let rounded = kept + u64::from(remainder > half || (remainder == half && kept & 1 == 1));
    // The implicit bit adds one to the exponent field, as does a carry out of the mantissa.
    let magnitude = ((above.max(0) as u64) << layout.mantissa_bits) + rounded;
    sign | if magnitude > layout.max { beyond } else { magnitude }
}

/// The values of all codes of an 8-bit type.
const fn values(layout: &Layout) -> [f64; 256] {
    let mut values = [0.0; 256];
    let mut code = 0;
    while code < values.len() {
        values[code] = decode(code as u64, layout);
        code += 1;
    }
    values
}

static E4M3_VALUES: [f64; 256] = values(&E4M3);
static E5M2_VALUES: [f64; 256] = values(&E5M2);

macro_rules! floats {
    ($($rust:ty, $dtype:ident, |$code:ident| $decode:expr, |$value:ident, $overflow:ident| $encode:expr;)*) => {
        $(
            impl sealed::Sealed for $rust {}
            impl Float for $rust {
                const DTYPE: DType = DType::$dtype;

                #[inline]
                fn to_f64(self) -> f64 {
                    let $code = self;
                    $decode
                }

                #[inline]
                fn from_f64($value: f64, $overflow: Overflow) -> Self {
                    $encode
                }
            }
        )*
    };
}

floats! {
    f64, F64, |value| value, |value, _overflow| value;
    f32, F32, |value| f32_to_f64(value), |value, overflow| f64_to_f32(value, overflow);
    f16, F16, |code| decode(code.to_bits().into(), &F16),
        |value, overflow| f16::from_bits(encode(value, &F16, overflow) as u16);
    bf16, Bf16, |code| decode(code.to_bits().into(), &BF16),
        |value, overflow| bf16::from_bits(encode(value, &BF16, overflow) as u16);
    F8E4M3, F8E4M3, |code| E4M3_VALUES[usize::from(code.0)],
        |value, overflow| F8E4M3(encode(value, &E4M3, overflow) as u8);
    F8E5M2, F8E5M2, |code| E5M2_VALUES[usize::from(code.0)],
        |value, overflow| F8E5M2(encode(value, &E5M2, overflow) as u8);
}

/// The processor's conversion, but for NaN, whose bits Rust leaves open.
#[inline]
fn f32_to_f64(value: f32) -> f64 {
    if value.is_nan() { decode(value.to_bits().into(), &F32) } else { value.into() }
}

/// The processor's conversion rounds to nearest, ties to even; what it cannot say is left to [`encode`].
#[inline]
fn f64_to_f32(value: f64, overflow: Overflow) -> f32 {
    let near = value as f32;
    if near.is_finite() { near } else { f32::from_bits(encode(value, &F32, overflow) as u32) }
}

/// Bytes of one element of a float type.
fn float_bytes(dtype: DType) -> Result<usize> {
    match dtype {
        DType::F64 => Ok(8),
        DType::F32 => Ok(4),
        DType::F16 | DType::Bf16 => Ok(2),
        DType::F8E4M3 | DType::F8E5M2 => Ok(1),
        _ => {
            let error = Error::new(ErrorKind::Unsupported, format!("{dtype} is no float type"));
            Err(error.hint("floats are f64 f32 f16 bf16 f8e4m3 f8e5m2; integers are converted by quantisation"))
        }
    }
}

/// Order of the types by their largest number.
fn range_rank(dtype: DType) -> u8 {
    match dtype {
        DType::F64 => 6,
        DType::F32 => 5,
        DType::Bf16 => 4,
        DType::F16 => 3,
        DType::F8E5M2 => 2,
        _ => 1,
    }
}

/// Converts with one instruction set. Types and lengths were checked.
fn convert_on(isa: Level, source: &[u8], from: DType, target: &mut [u8], to: DType, overflow: Overflow) {
    if from == to {
        target.copy_from_slice(source);
        return;
    }
    let overflow = if range_rank(to) > range_rank(from) { Overflow::Infinity } else { overflow };
    let (source_done, target_done) = leading(isa, source, from, target, to, overflow);
    let (source, target) = (&source[source_done..], &mut target[target_done..]);
    macro_rules! to {
        ($source:ty) => {
            match to {
                DType::F64 => each::<$source, f64>(source, target, overflow),
                DType::F32 => each::<$source, f32>(source, target, overflow),
                DType::F16 => each::<$source, f16>(source, target, overflow),
                DType::Bf16 => each::<$source, bf16>(source, target, overflow),
                DType::F8E4M3 => each::<$source, F8E4M3>(source, target, overflow),
                _ => each::<$source, F8E5M2>(source, target, overflow),
            }
        };
    }
    match from {
        DType::F64 => to!(f64),
        DType::F32 => to!(f32),
        DType::F16 => to!(f16),
        DType::Bf16 => to!(bf16),
        DType::F8E4M3 => to!(F8E4M3),
        _ => to!(F8E5M2),
    }
}

/// The scalar form of every pair: oracle, fallback, and what is left over by wide registers.
fn each<S: Float, T: Float>(source: &[u8], target: &mut [u8], overflow: Overflow) {
    let (Ok(source), Ok(target)) = (<[Unalign<S>]>::ref_from_bytes(source), <[Unalign<T>]>::mut_from_bytes(target))
    else {
        return; // not whole elements: excluded by the callers
    };
    for (source, target) in source.iter().zip(target) {
        *target = Unalign::new(T::from_f64(source.get().to_f64(), overflow));
    }
}

/// Converts as many leading elements as the wide registers of `isa` take. Returns the bytes read and written.
#[cfg(target_arch = "x86_64")]
fn leading(isa: Level, source: &[u8], from: DType, target: &mut [u8], to: DType, overflow: Overflow) -> (usize, usize) {
    // Each function needs the instructions of `isa`, and a value other than `Scalar` comes only from `dispatch`,
    // which asked the processor for all of them.
    macro_rules! path {
        ($set:ident, $lanes:literal) => {
            $lanes
                * match (from, to) {
                    // SAFETY: the processor has these instructions, see above.
                    (DType::F32, DType::F16) => unsafe { $set::f32_to_f16(source, target) },
                    // SAFETY: the processor has these instructions, see above.
                    (DType::F16, DType::F32) => unsafe { $set::f16_to_f32(source, target) },
                    // SAFETY: the processor has these instructions, see above.
                    (DType::F32, DType::Bf16) => unsafe { $set::f32_to_bf16(source, target) },
                    // SAFETY: the processor has these instructions, see above.
                    (DType::Bf16, DType::F32) => unsafe { $set::bf16_to_f32(source, target) },
                    _ => 0,
                }
        };
    }
    let elements = match isa {
        Level::Scalar => 0,
        Level::Avx2 => path!(avx2, 8),
        Level::Avx512 => path!(avx512, 16),
    };
    let bytes = |dtype: DType| elements * (dtype.bits() / 8) as usize;
    let done = (bytes(from), bytes(to));
    if overflow == Overflow::Saturate {
        saturate(&mut target[..done.1], to);
    }
    done
}

#[cfg(not(target_arch = "x86_64"))]
fn leading(_: Level, _: &[u8], _: DType, _: &mut [u8], _: DType, _: Overflow) -> (usize, usize) {
    (0, 0)
}

/// Replaces infinities by the largest finite numbers in 16-bit floats; the code before infinity is the largest.
#[cfg(target_arch = "x86_64")]
fn saturate(target: &mut [u8], dtype: DType) {
    let infinity = match dtype {
        DType::F16 => F16.beyond as u16,
        DType::Bf16 => BF16.beyond as u16,
        _ => return,
    };
    if let Ok(codes) = <[Unalign<u16>]>::mut_from_bytes(target) {
        for code in codes {
            let value = code.get();
            *code = Unalign::new(value - u16::from(value & 0x7fff == infinity));
        }
    }
}

/// Runs `body` on each whole chunk of the source and of the target. Returns how many there were.
#[cfg(target_arch = "x86_64")]
#[inline(always)] // so that the body is compiled with the instructions of its caller
fn chunks<const S: usize, const T: usize>(
    source: &[u8],
    target: &mut [u8],
    body: impl Fn(&[u8; S], &mut [u8; T]),
) -> usize {
    let (source, target) = (source.as_chunks::<S>().0, target.as_chunks_mut::<T>().0);
    for (source, target) in source.iter().zip(target.iter_mut()) {
        body(source, target);
    }
    source.len().min(target.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random::Random;

    const FLOATS: [DType; 6] = [DType::F64, DType::F32, DType::Bf16, DType::F16, DType::F8E5M2, DType::F8E4M3];

    fn available() -> impl Iterator<Item = Level> {
        dispatch::Present::all().into_iter().map(dispatch::Present::level)
    }

    fn narrow<T: Float>(value: f64) -> T {
        T::from_f64(value, Overflow::Infinity)
    }

    /// Numbers at which rounding goes wrong: around every representable one, every midpoint, and both range ends.
    fn hard_numbers(layout: &Layout) -> Vec<f64> {
        let codes = 1_u64 << (layout.bits - 1);
        let step = (codes / 40_000).max(1);
        let mut numbers = vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324];
        for code in (0..codes).step_by(step as usize).chain(layout.max - 3..=layout.max) {
            let (low, high) = (decode(code, layout), decode(code + 1, layout));
            let middle = low + (high - low) / 2.0;
            for value in [low, middle].into_iter().filter(|value| value.is_finite()) {
                numbers.extend([value, value.next_up(), value.next_down()].iter().flat_map(|&v| [v, -v]));
            }
        }
        numbers
    }

    /// The nearest code by search, with no bit tricks: the oracle for `encode`.
    fn nearest(value: f64, layout: &Layout) -> u64 {
        let magnitude = value.abs();
        let (mut low, mut high) = (0, layout.max + 1);
        while low + 1 < high {
            let middle = (low + high) / 2;
            if decode(middle, layout) <= magnitude { low = middle } else { high = middle }
        }
        let below = decode(low, layout);
        // The next code may be infinity; what would follow the largest number is one step above it.
        let above = if low == layout.max { below + (below - decode(low - 1, layout)) } else { decode(low + 1, layout) };
        let (down, up) = (magnitude - below, above - magnitude);
        let code = if down > up || (down == up && low & 1 == 1) { low + 1 } else { low };
        let code = if code > layout.max || value.is_infinite() { layout.beyond } else { code };
        code | u64::from(value.is_sign_negative()) << (layout.bits - 1)
    }

    // One wrong tie moves a weight by a whole step, and nobody notices until the digests differ.
    #[test]
    fn every_format_rounds_as_a_search_for_the_nearest_number_does() {
        for layout in [&F32, &F16, &BF16, &E4M3, &E5M2] {
            for value in hard_numbers(layout) {
                let (ours, oracle) = (encode(value, layout, Overflow::Infinity), nearest(value, layout));
                assert_eq!(
                    ours, oracle,
                    "{value:e} in {} bits with {} mantissa bits",
                    layout.bits, layout.mantissa_bits
                );
            }
        }
    }

    // f32 takes the processor's conversions instead.
    #[test]
    fn f32_is_converted_as_its_layout_says() {
        for value in hard_numbers(&F32).into_iter().chain([f64::NAN, -f64::NAN, f64::from_bits(0xfff0_0000_2000_0001)])
        {
            for overflow in [Overflow::Infinity, Overflow::Saturate] {
                let code = encode(value, &F32, overflow);
                assert_eq!(u64::from(f32::from_f64(value, overflow).to_bits()), code, "{value:e}");
                let wide = Float::to_f64(f32::from_bits(code as u32));
                assert_eq!(wide.to_bits(), decode(code, &F32).to_bits(), "{value:e}");
            }
        }
    }

    #[test]
    fn every_code_survives_the_way_through_f64_and_f32() {
        for layout in [&F16, &BF16, &E4M3, &E5M2] {
            for code in 0..1_u64 << layout.bits {
                let value = decode(code, layout);
                let back = encode(value, layout, Overflow::Infinity);
                assert_eq!(decode(back, layout).to_bits(), value.to_bits(), "{code:x}");
                assert_eq!(narrow::<f32>(value).to_f64().to_bits(), value.to_bits(), "{code:x} through f32");
                if !value.is_nan() {
                    assert_eq!(back, code);
                }
            }
        }
    }

    // The crate `half` is another implementation of two of the formats; NaN payloads and signs must agree as well.
    #[test]
    fn sixteen_bit_types_agree_with_half() {
        for code in 0..=u16::MAX {
            let (a, b) = (f16::from_bits(code), bf16::from_bits(code));
            assert_eq!(narrow::<f32>(a.to_f64()).to_bits(), a.to_f32().to_bits(), "f16 {code:x}");
            assert_eq!(narrow::<f32>(b.to_f64()).to_bits(), b.to_f32().to_bits(), "bf16 {code:x}");
        }
        let mut random = Random::new(1);
        for step in 0..200_000_u32 {
            let bits = if step < 4096 { step << 20 | 0x1000 } else { random.next_u64() as u32 };
            let value = f32::from_bits(bits);
            let wide = Float::to_f64(value);
            assert_eq!(narrow::<f16>(wide).to_bits(), f16::from_f32(value).to_bits(), "f16 of {bits:x}");
            assert_eq!(narrow::<bf16>(wide).to_bits(), bf16::from_f32(value).to_bits(), "bf16 of {bits:x}");
        }
    }

    // f64 -> f32 -> narrow rounds 1 + half a step + a little to a tie, and then the wrong way.
    #[test]
    fn f64_is_rounded_once() {
        for (layout, to) in [(&F16, DType::F16), (&BF16, DType::Bf16), (&E4M3, DType::F8E4M3), (&E5M2, DType::F8E5M2)] {
            let value = 1.0 + 0.5_f64.powi(layout.mantissa_bits as i32 + 1) + 0.5_f64.powi(40);
            let one = encode(1.0, layout, Overflow::Infinity);
            let mut once = vec![0; layout.bits as usize / 8];
            convert(&value.to_le_bytes(), DType::F64, &mut once, to, Overflow::Infinity).unwrap();
            let mut twice = once.clone();
            convert(&(value as f32).to_le_bytes(), DType::F32, &mut twice, to, Overflow::Infinity).unwrap();
            assert_eq!(u64::from(once[0]), (one & 0xff) + 1, "{to}");
            assert_eq!(u64::from(twice[0]), one & 0xff, "{to}: the example shows no double rounding");
        }
    }

    // Checksums of what ml_dtypes 0.6.0 makes of all codes: `numpy.arange(...).view(source).astype(target)`.
    #[test]
    fn eight_bit_types_agree_with_ml_dtypes() {
        let codes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let cases = [
            (&codes, DType::F16, DType::F8E4M3, 0x1460_6500),
            (&codes, DType::F16, DType::F8E5M2, 0x2edb_1882),
            (&codes, DType::Bf16, DType::F8E4M3, 0xcbf7_13fe),
            (&codes, DType::Bf16, DType::F8E5M2, 0xee0d_e81c),
            (&bytes, DType::F8E4M3, DType::F32, 0xc266_6a8c),
            (&bytes, DType::F8E5M2, DType::F32, 0x0788_ceec),
        ];
        for (source, from, to, checksum) in cases {
            let elements = source.len() / (from.bits() / 8) as usize;
            let mut target = vec![0; elements * (to.bits() / 8) as usize];
            convert(source, from, &mut target, to, Overflow::Infinity).unwrap();
            assert_eq!(crc32fast::hash(&target), checksum, "{from} to {to}");
        }
    }

    #[test]
    fn overflow_is_infinity_or_the_largest_number() {
        let check = |value: f64, infinity: (u8, u8, u16, u16), saturated: (u8, u8, u16, u16)| {
            for (overflow, expected) in [(Overflow::Infinity, infinity), (Overflow::Saturate, saturated)] {
                let ours = (
                    F8E4M3::from_f64(value, overflow).0,
                    F8E5M2::from_f64(value, overflow).0,
                    f16::from_f64_with(value, overflow),
                    bf16::from_f64_with(value, overflow),
                );
                assert_eq!(ours, expected, "{value:e} {overflow:?}");
            }
        };
        check(f64::INFINITY, (0x7f, 0x7c, 0x7c00, 0x7f80), (0x7e, 0x7b, 0x7bff, 0x7f7f));
        check(-1e300, (0xff, 0xfc, 0xfc00, 0xff80), (0xfe, 0xfb, 0xfbff, 0xff7f));
        // 464 is halfway between 448 and what would be 480, and 448 is even.
        assert_eq!((narrow::<F8E4M3>(464.0).0, narrow::<F8E4M3>(464.0_f64.next_up()).0), (0x7e, 0x7f));
        assert_eq!((narrow::<f16>(65_519.999).to_bits(), narrow::<f16>(65_520.0).to_bits()), (0x7bff, 0x7c00));
    }

    trait FromF64With: Float {
        fn from_f64_with(value: f64, overflow: Overflow) -> u16;
    }

    impl FromF64With for f16 {
        fn from_f64_with(value: f64, overflow: Overflow) -> u16 {
            <f16 as Float>::from_f64(value, overflow).to_bits()
        }
    }

    impl FromF64With for bf16 {
        fn from_f64_with(value: f64, overflow: Overflow) -> u16 {
            <bf16 as Float>::from_f64(value, overflow).to_bits()
        }
    }

    // Widening an infinity must not lose it because the caller saturates elsewhere.
    #[test]
    fn infinity_survives_towards_a_larger_range() {
        let mut wide = [0_f32; 3];
        let source = [f16::INFINITY, f16::NEG_INFINITY, f16::MAX];
        convert_slice(&source, &mut wide, Overflow::Saturate).unwrap();
        assert_eq!(wide, [f32::INFINITY, f32::NEG_INFINITY, 65_504.0]);
    }

    // A machine with wider registers must not store other bits than one without.
    #[test]
    fn every_instruction_set_gives_the_bits_of_the_scalar_form() {
        let mut random = Random::new(7);
        let mut values: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        for layout in [&F16, &BF16] {
            values.extend(hard_numbers(layout).iter().flat_map(|&value| narrow::<f32>(value).to_le_bytes()));
        }
        values.extend(random.bytes(1 << 16));
        values.extend(
            [0x7f80_0001_u32, 0xff80_0001, 0x7fbf_ffff, 0xffff_ffff, 1, 0x8000_0001]
                .map(u32::to_le_bytes)
                .as_flattened(),
        );
        for isa in available() {
            for (from, to) in [
                (DType::F32, DType::F16),
                (DType::F16, DType::F32),
                (DType::F32, DType::Bf16),
                (DType::Bf16, DType::F32),
            ] {
                let (from_bytes, to_bytes) = (from.bits() as usize / 8, to.bits() as usize / 8);
                let check = |source: &[u8], overflow: Overflow, offset: usize| {
                    let len = source.len() / from_bytes * to_bytes;
                    let (mut ours, mut oracle) = (vec![0; len + offset], vec![0; len]);
                    convert_on(isa, source, from, &mut ours[offset..], to, overflow);
                    convert_on(Level::Scalar, source, from, &mut oracle, to, overflow);
                    assert!(ours[offset..] == oracle, "{isa:?}: {from} to {to}, {} bytes, {overflow:?}", source.len());
                };
                for overflow in [Overflow::Infinity, Overflow::Saturate] {
                    check(&values[..values.len() / 4 * 4], overflow, 0);
                    for elements in 0..=67 {
                        let start = random.below(values.len() as u64 / 2) as usize;
                        check(&values[start..start + elements * from_bytes], overflow, elements % 3);
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_and_types_are_checked() {
        let check = |source: usize, from, target: usize, to, kind| {
            let mut target = vec![0; target];
            let error = convert(&vec![0; source], from, &mut target, to, Overflow::Infinity).unwrap_err();
            assert_eq!(error.kind(), kind);
        };
        check(8, DType::F32, 3, DType::F16, ErrorKind::InvalidShape);
        check(8, DType::F32, 6, DType::F16, ErrorKind::InvalidShape);
        check(7, DType::F32, 2, DType::F16, ErrorKind::InvalidShape);
        check(4, DType::I32, 4, DType::F32, ErrorKind::Unsupported);
        for from in FLOATS {
            for to in FLOATS {
                convert(&[], from, &mut [], to, Overflow::Saturate).unwrap();
            }
        }
        let bits = [f32::from_bits(0x7f80_0001)];
        let mut copy = [0_f32];
        convert_slice(&bits, &mut copy, Overflow::Saturate).unwrap();
        assert_eq!(copy[0].to_bits(), 0x7f80_0001, "a copy changes nothing, not even a signalling NaN");
    }
}
