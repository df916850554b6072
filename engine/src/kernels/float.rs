//! Float types as numbers: what their bits mean, and the number of each type nearest to an f64. The scalar form of every
//! conversion, and what arithmetic element by element needs.

use half::{bf16, f16};

use crate::element::{Element, F8E4M3, F8E5M2};

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

/// A float type: `f64`, `f32`, `f16`, `bf16`, [`F8E4M3`], [`F8E5M2`]. Sealed.
pub trait Float: Element + Compute {
    /// The same number as an f64; always exact.
    fn to_f64(self) -> f64;

    /// The number of this type nearest to `value`, ties to even.
    fn from_f64(value: f64, overflow: Overflow) -> Self;
}

mod compute {
    /// How a type is computed in: itself, or f32.
    pub trait Compute: Copy {
        type Wide: Wide;
        fn widen(self) -> Self::Wide;
        fn narrow(wide: Self::Wide) -> Self;
    }

    /// f32 and f64.
    pub trait Wide:
        Copy + std::ops::Add<Output = Self> + std::ops::Sub<Output = Self> + std::ops::Mul<Output = Self>
    {
        fn of(x: f64) -> Self;
        /// `self * b + c`, rounded once. Without an instruction for it a crate's function computes it: that of the C library
        /// is not exact everywhere (mingw's rounds f64 twice).
        fn fma(self, b: Self, c: Self, has_instruction: bool) -> Self;
        fn negate(self) -> Self;
    }
}
pub(super) use compute::{Compute, Wide};

macro_rules! wide {
    ($($t:ty: $fma:path;)*) => { $(
        impl Wide for $t {
            #[inline(always)]
            fn of(x: f64) -> Self { x as $t }
            #[inline(always)]
            fn fma(self, b: Self, c: Self, has_instruction: bool) -> Self {
                if has_instruction { self.mul_add(b, c) } else { $fma(self, b, c) }
            }
            #[inline(always)]
            fn negate(self) -> Self { -self }
        }
    )* };
}
wide!(f32: libm::fmaf; f64: libm::fma;);

macro_rules! floats {
    ($($rust:ty: $to_f64:expr, $from_f64:expr, in $wide:ty: $widen:expr, $narrow:expr;)*) => { $(
        impl Float for $rust {
            #[inline]
            fn to_f64(self) -> f64 { ($to_f64)(self) }
            #[inline]
            fn from_f64(value: f64, overflow: Overflow) -> Self { ($from_f64)(value, overflow) }
        }

        impl Compute for $rust {
            type Wide = $wide;
            #[inline(always)]
            fn widen(self) -> $wide { ($widen)(self) }
            #[inline(always)]
            fn narrow(wide: $wide) -> Self { ($narrow)(wide) }
        }
    )* };
}

floats! {
    f64: |x| x, |x, _| x, in f64: |x| x, |x| x;
    f32: f32_to_f64, f64_to_f32, in f32: |x| x, |x| x;
    f16: |x: f16| decode(x.to_bits().into(), &F16), |x, overflow| f16::from_bits(encode(x, &F16, overflow) as u16),
        in f32: f16::to_f32, f16::from_f32;
    bf16: |x: bf16| decode(x.to_bits().into(), &BF16), |x, overflow| bf16::from_bits(encode(x, &BF16, overflow) as u16),
        in f32: bf16::to_f32, bf16::from_f32;
    F8E4M3: |x: F8E4M3| E4M3_VALUES[usize::from(x.0)], |x, overflow| F8E4M3(encode(x, &E4M3, overflow) as u8),
        in f32: |x: F8E4M3| x.to_f64() as f32, |x| F8E4M3::from_f64(f64::from(x), Overflow::Infinity);
    F8E5M2: |x: F8E5M2| E5M2_VALUES[usize::from(x.0)], |x, overflow| F8E5M2(encode(x, &E5M2, overflow) as u8),
        in f32: |x: F8E5M2| x.to_f64() as f32, |x| F8E5M2::from_f64(f64::from(x), Overflow::Infinity);
}

/// How the bits of a narrow float are to be read. Codes are given without the sign, which is the highest bit.
pub(super) struct Layout {
    pub(super) bits: u32,
    pub(super) mantissa_bits: u32,
    pub(super) bias: i32,
    /// The largest finite number.
    pub(super) max: u64,
    /// What follows on it: infinity, or the NaN that stands for it in f8e4m3.
    pub(super) beyond: u64,
    /// The canonical quiet NaN.
    pub(super) nan: u64,
    /// Whether a NaN keeps its payload.
    payload: bool,
}

pub(super) const F32: Layout = Layout {
    bits: 32,
    mantissa_bits: 23,
    bias: 127,
    max: 0x7f7f_ffff,
    beyond: 0x7f80_0000,
    nan: 0x7fc0_0000,
    payload: true,
};
pub(super) const F16: Layout =
    Layout { bits: 16, mantissa_bits: 10, bias: 15, max: 0x7bff, beyond: 0x7c00, nan: 0x7e00, payload: true };
pub(super) const BF16: Layout =
    Layout { bits: 16, mantissa_bits: 7, bias: 127, max: 0x7f7f, beyond: 0x7f80, nan: 0x7fc0, payload: true };
pub(super) const E4M3: Layout =
    Layout { bits: 8, mantissa_bits: 3, bias: 7, max: 0x7e, beyond: 0x7f, nan: 0x7f, payload: false };
pub(super) const E5M2: Layout =
    Layout { bits: 8, mantissa_bits: 2, bias: 15, max: 0x7b, beyond: 0x7c, nan: 0x7e, payload: false };

const F64_MANTISSA_BITS: u32 = 52;
const F64_BIAS: i32 = 1023;
const F64_QUIET: u64 = 1 << 51;

/// The value of a code. Every narrow float is also an f64, subnormal ones included.
pub(super) const fn decode(code: u64, layout: &Layout) -> f64 {
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
pub(super) fn encode(value: f64, layout: &Layout, overflow: Overflow) -> u64 {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::testing::random::Random;

    pub(in crate::kernels) fn narrow<T: Float>(value: f64) -> T {
        T::from_f64(value, Overflow::Infinity)
    }

    /// Numbers at which rounding goes wrong: around every representable one, every midpoint, and both range ends.
    pub(in crate::kernels) fn hard_numbers(layout: &Layout) -> Vec<f64> {
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
}
