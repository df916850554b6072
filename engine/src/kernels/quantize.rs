//! 8-bit quantisation of f32, and the way back to f32 from every encoding a stored tensor may have.
//!
//! `value = scale * (code - zero_point)`, with one scale (and zero point) per block of consecutive elements in C order;
//! the last block may be shorter. A block as long as a row is one scale per row; block 0 is one scale per tensor. This is
//! [`Encoding::Quantized`].

use zerocopy::{FromBytes, IntoBytes, Unalign};

use super::convert::{Overflow, convert};
use super::ggml::{BlockLayout, dequantize_blocks};
use crate::dtype::{DType, Encoding, byte_len};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::zeroed;

/// How codes are laid over the numbers of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Codes -127..=127, no zero point, `scale = max|x| / 127`.
    Symmetric,
    /// Codes -128..=127 over the range from min(x, 0) to max(x, 0), `scale = (max - min) / 255`; 0 is always exact.
    Affine,
}

/// Largest magnitude that can be quantised; beyond it a product of scale and code could overflow.
pub const QUANTIZE_MAX: f32 = f32::MAX / 2.0;

/// Scales that this many elements need; `block` 0 is one for all of them.
pub fn scale_count(elements: usize, block: usize) -> usize {
    if block == 0 { 1 } else { elements.div_ceil(block) }
}

/// Quantises to int8. `scale` takes [`scale_count`] values, `zero_point` as many for [`Scheme::Affine`] and none for
/// [`Scheme::Symmetric`].
///
/// Quotients are rounded half to even. For every element `|x - dequantised| <= scale / 2 * (1 + 2^-13)`; the small term
/// is what the f32 operations add. A block of zeros, or an empty one, has scale 0 and zero point 0 and comes back as
/// zeros. Minus zero becomes zero. A scale is never subnormal (2^-126 takes its place), so that the bound holds for
/// subnormal numbers too.
///
/// Fails with `InvalidArgument`, naming the index, when a number is NaN, infinite or beyond [`QUANTIZE_MAX`], and with
/// `InvalidShape` when lengths do not match. On failure the outputs may be partly written. Does not allocate.
pub fn quantize(
    source: &[f32],
    scheme: Scheme,
    block: usize,
    codes: &mut [i8],
    scale: &mut [f32],
    zero_point: &mut [i32],
) -> Result<()> {
    let zero_points = if scheme == Scheme::Affine { scale.len() } else { 0 };
    check_lengths(source.len(), block, codes.len(), scale.len(), zero_point.len(), zero_points)?;
    let block_len = block_len(source.len(), block);
    scale.fill(0.0);
    zero_point.fill(0);
    for (index, (source, codes)) in source.chunks(block_len).zip(codes.chunks_mut(block_len)).enumerate() {
        // A comparison that NaN fails, too.
        if let Some(at) = source.iter().position(|value| !matches!(value.abs(), 0.0..=QUANTIZE_MAX)) {
            let what = format!("element {} is {} and has no 8-bit code", index * block_len + at, source[at]);
            return Err(Error::invalid_argument(what));
        }
        let (step, zero) = parameters(source, scheme);
        scale[index] = step;
        if let Some(zero_point) = zero_point.get_mut(index) {
            *zero_point = zero;
        }
        let code_min = if scheme == Scheme::Symmetric { -127 } else { -128 };
        let divisor = if step == 0.0 { 1.0 } else { step };
        for (&value, code) in source.iter().zip(codes) {
            *code = (round_half_even(value / divisor) + zero).clamp(code_min, 127) as i8;
        }
    }
    Ok(())
}

/// As [`quantize`], into a vector of codes and the encoding to store them with.
pub fn quantize_encoded(source: &[f32], scheme: Scheme, block: u32) -> Result<(Vec<i8>, Encoding)> {
    let count = scale_count(source.len(), block as usize);
    let (mut codes, mut scale) = (zeroed(source.len())?, zeroed(count)?);
    let mut zero_point = zeroed(if scheme == Scheme::Affine { count } else { 0 })?;
    quantize(source, scheme, block as usize, &mut codes, &mut scale, &mut zero_point)?;
    Ok((codes, Encoding::Quantized { block, scale, zero_point }))
}

/// The numbers that int8 codes stand for. `zero_point` has one value per scale, or none.
///
/// The difference of code and zero point is exact, its conversion to f32 rounds where it is beyond 2^24, and the product
/// with the scale is one f32 operation. Infinite and NaN scales follow the rules of f32. Fails with `InvalidShape` when
/// lengths do not match; then `target` is not touched. Does not allocate.
pub fn dequantize(codes: &[i8], block: usize, scale: &[f32], zero_point: &[i32], target: &mut [f32]) -> Result<()> {
    let zero_points = if zero_point.is_empty() { 0 } else { scale.len() };
    check_lengths(target.len(), block, codes.len(), scale.len(), zero_point.len(), zero_points)?;
    dequantize_codes(codes, difference_narrow, block, scale, zero_point, target);
    Ok(())
}

/// Elements of a stored tensor as f32, whatever its type and encoding.
///
/// - [`Encoding::Plain`]: floats as by [`convert`] (infinity on overflow of f64), integers rounded to the nearest f32,
///   `bool` as 0 and 1.
/// - [`Encoding::Quantized`]: as [`dequantize`], for every integer type.
/// - [`Encoding::Blocks`]: the layouts of [`BlockLayout`].
///
/// `bytes` is what is stored, little-endian, of any alignment; `target` has one place for each element in C order. Fails
/// with `Unsupported` for other combinations (packed bits, quantised floats), and with `InvalidShape` when lengths, scales
/// or block sizes do not belong together; then `target` is not touched. Does not allocate.
pub fn dequantize_payload(
    dtype: DType,
    shape: &[u64],
    encoding: &Encoding,
    bytes: &[u8],
    target: &mut [f32],
) -> Result<()> {
    let expected = byte_len(dtype, shape, encoding)?;
    if expected != bytes.len() as u64 {
        let what = format!("{dtype} with shape {shape:?} takes {expected} bytes, {} were given", bytes.len());
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    let elements = if shape.contains(&0) { 0 } else { shape.iter().product::<u64>() };
    if elements != target.len() as u64 {
        let what = format!("{elements} elements do not fit a slice of {}", target.len());
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    match encoding {
        Encoding::Plain if matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::Bf16) || is_f8(dtype) => {
            convert(bytes, dtype, target.as_mut_bytes(), DType::F32, Overflow::Infinity)
        }
        Encoding::Plain => dequantize_integers(dtype, bytes, 0, &[1.0], &[], target),
        Encoding::Quantized { .. } if dtype == DType::Bool => Err(unsupported("quantised", dtype)),
        Encoding::Quantized { block, scale, zero_point } => {
            let block = *block as usize;
            let zero_points = if zero_point.is_empty() { 0 } else { scale.len() };
            check_lengths(target.len(), block, target.len(), scale.len(), zero_point.len(), zero_points)?;
            dequantize_integers(dtype, bytes, block, scale, zero_point, target)
        }
        Encoding::Blocks { layout, elements, bytes: block_bytes } => {
            let known: BlockLayout = layout.parse()?;
            if (known.elements(), known.bytes()) != (*elements as usize, *block_bytes as usize) {
                let what = format!("{block_bytes} bytes for {elements} elements are no block of {}", known.name());
                return Err(Error::new(ErrorKind::InvalidShape, what));
            }
            dequantize_blocks(known, bytes, target)
        }
    }
}

fn is_f8(dtype: DType) -> bool {
    matches!(dtype, DType::F8E4M3 | DType::F8E5M2)
}

fn unsupported(what: &str, dtype: DType) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} {dtype} cannot be turned into f32"))
}

/// Elements per block, at least 1 so that slices can be cut by it.
fn block_len(elements: usize, block: usize) -> usize {
    if block == 0 { elements.max(1) } else { block }
}

fn check_lengths(
    elements: usize,
    block: usize,
    codes: usize,
    scales: usize,
    zero_points: usize,
    zero_points_expected: usize,
) -> Result<()> {
    let scales_expected = scale_count(elements, block);
    if codes == elements && scales == scales_expected && zero_points == zero_points_expected {
        return Ok(());
    }
    let what = format!(
        "{elements} elements in blocks of {block} take {scales_expected} scales and {zero_points_expected} zero points; \
         {codes} codes, {scales} scales and {zero_points} zero points were given"
    );
    Err(Error::new(ErrorKind::InvalidShape, what))
}

/// Scale and zero point of a block of finite numbers.
fn parameters(source: &[f32], scheme: Scheme) -> (f32, i32) {
    let min = source.iter().fold(0.0_f32, |min, &value| min.min(value));
    let max = source.iter().fold(0.0_f32, |max, &value| max.max(value));
    if min == 0.0 && max == 0.0 {
        return (0.0, 0);
    }
    match scheme {
        Scheme::Symmetric => ((max.max(-min) / 127.0).max(f32::MIN_POSITIVE), 0),
        Scheme::Affine => {
            // In f64, where the range of two large numbers does not overflow.
            let step = ((f64::from(max) - f64::from(min)) / 255.0) as f32;
            let step = step.max(f32::MIN_POSITIVE);
            let zero = -128.0 - f64::from(min) / f64::from(step);
            (step, zero.round_ties_even().clamp(-128.0, 127.0) as i32)
        }
    }
}

/// The nearest integer, ties to even, for magnitudes below 2^22.
///
/// Adding 1.5 * 2^23 leaves the units as the last bit of the significand, and the addition itself rounds half to even.
#[inline]
fn round_half_even(value: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    (value + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i32
}

fn dequantize_integers(
    dtype: DType,
    bytes: &[u8],
    block: usize,
    scale: &[f32],
    zero_point: &[i32],
    target: &mut [f32],
) -> Result<()> {
    macro_rules! of {
        ($rust:ty, $difference:expr) => {{
            let codes = <[Unalign<$rust>]>::ref_from_bytes(bytes)
                .map_err(|_| Error::internal("elements do not fill their bytes"))?;
            let difference = $difference;
            dequantize_codes(codes, |code, zero| difference(code.get(), zero), block, scale, zero_point, target);
        }};
    }
    match dtype {
        DType::I8 => of!(i8, difference_narrow),
        DType::U8 | DType::Bool => of!(u8, difference_narrow),
        DType::I16 => of!(i16, difference_narrow),
        DType::U16 => of!(u16, difference_narrow),
        DType::I32 => of!(i32, difference_wide),
        DType::U32 => of!(u32, difference_wide),
        DType::I64 => of!(i64, difference_wide),
        DType::U64 => of!(u64, difference_wide),
        _ => return Err(unsupported("an encoding of", dtype)),
    }
    Ok(())
}

/// Code minus zero point as f32. Usual zero points are small, and 32 bits are what vector units convert.
#[inline]
fn difference_narrow<T: Into<i32>>(code: T, zero: i32) -> f32 {
    let code: i32 = code.into();
    match i16::try_from(zero) {
        Ok(zero) => (code - i32::from(zero)) as f32,
        Err(_) => difference_wide(code, zero),
    }
}

#[inline]
fn difference_wide<T: Into<i128>>(code: T, zero: i32) -> f32 {
    (code.into() - i128::from(zero)) as f32
}

/// The loop over blocks. Lengths were checked.
#[inline]
fn dequantize_codes<T: Copy>(
    codes: &[T],
    difference: impl Fn(T, i32) -> f32,
    block: usize,
    scale: &[f32],
    zero_point: &[i32],
    target: &mut [f32],
) {
    let block_len = block_len(codes.len(), block);
    for (index, (codes, target)) in codes.chunks(block_len).zip(target.chunks_mut(block_len)).enumerate() {
        let scale = scale[index];
        let zero = zero_point.get(index).copied().unwrap_or(0);
        for (&code, target) in codes.iter().zip(target) {
            *target = scale * difference(code, zero);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCHEMES: [Scheme; 2] = [Scheme::Symmetric, Scheme::Affine];

    fn round_trip(source: &[f32], scheme: Scheme, block: u32) -> (Vec<i8>, Vec<f32>, Vec<f32>) {
        let (codes, encoding) = quantize_encoded(source, scheme, block).unwrap();
        let bytes: Vec<u8> = codes.iter().map(|&code| code as u8).collect();
        let mut back = vec![f32::NAN; source.len()];
        dequantize_payload(DType::I8, &[source.len() as u64], &encoding, &bytes, &mut back).unwrap();
        let Encoding::Quantized { scale, .. } = encoding else { panic!("{encoding:?}") };
        (codes, scale, back)
    }

    proptest! {
        // Search prunes by this bound: an error beyond it would lose neighbours.
        #[test]
        fn the_error_is_at_most_half_a_scale(
            source in proptest::collection::vec(
                prop_oneof![8 => -1.0_f32..1.0, 1 => Just(0.0), 1 => Just(-1.0), 1 => Just(1.0)], 0..200),
            shift in -1.0_f32..1.0, exponent in -149_i32..126, block in 0_u32..70,
        ) {
            let source: Vec<f32> =
                source.iter().map(|x| ((x + shift) as f64 * 2_f64.powi(exponent)) as f32).collect();
            for scheme in SCHEMES {
                let (_, scale, back) = round_trip(&source, scheme, block);
                for (i, (&x, &y)) in source.iter().zip(&back).enumerate() {
                    let step = f64::from(scale[i / block_len(source.len(), block as usize)]);
                    let bound = step / 2.0 * (1.0 + 2_f64.powi(-13));
                    prop_assert!((f64::from(x) - f64::from(y)).abs() <= bound, "{scheme:?}: {x:e} became {y:e}, scale {step:e}");
                    prop_assert!(x != 0.0 || y == 0.0, "zero is exact");
                }
            }
        }

        #[test]
        fn rounding_is_half_to_even(value in -4_000_000.0_f32..4_000_000.0, half in -1_000_000_i32..1_000_000) {
            let tie = half as f32 + 0.5;
            prop_assert_eq!(round_half_even(value), value.round_ties_even() as i32);
            prop_assert_eq!(round_half_even(tie), tie.round_ties_even() as i32);
        }
    }

    #[test]
    fn scales_and_codes_of_known_blocks() {
        let (codes, scale, back) = round_trip(&[127.0, -127.0, 0.5, 1.5, 2.5, -0.5, -0.0], Scheme::Symmetric, 0);
        assert_eq!((codes, scale), (vec![127, -127, 0, 2, 2, 0, 0], vec![1.0]));
        assert_eq!(back[6].to_bits(), 0, "minus zero becomes zero");
        let (codes, encoding) = quantize_encoded(&[0.0, 255.0, 100.0, -255.0, 0.0, -1.0], Scheme::Affine, 3).unwrap();
        assert_eq!(codes, [-128, 127, -28, -128, 127, 126]);
        let expected = Encoding::Quantized { block: 3, scale: vec![1.0, 1.0], zero_point: vec![-128, 127] };
        assert_eq!(encoding, expected);
    }

    // 0 / 0 is NaN, and NaN as a code would come back as something.
    #[test]
    fn empty_and_zero_blocks_have_scale_zero() {
        for scheme in SCHEMES {
            assert_eq!(round_trip(&[], scheme, 0), (vec![], vec![0.0], vec![]));
            assert_eq!(round_trip(&[], scheme, 4), (vec![], vec![], vec![]));
            let (codes, scale, back) = round_trip(&[0.0, -0.0, 0.0, 1.0, 0.0], scheme, 3);
            assert_eq!((&codes[..3], scale[0], &back[..3]), (&[0, 0, 0][..], 0.0, &[0.0; 3][..]));
        }
    }

    #[test]
    fn numbers_without_a_code_are_named() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, QUANTIZE_MAX.next_up()] {
            for scheme in SCHEMES {
                let error = quantize_encoded(&[1.0, 1.0, 1.0, value], scheme, 2).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                assert!(error.what().starts_with("element 3 is "), "{error}");
            }
        }
        for scheme in SCHEMES {
            let (_, _, back) = round_trip(&[QUANTIZE_MAX, -QUANTIZE_MAX, 1.0], scheme, 0);
            assert!(back.iter().all(|value| value.is_finite()), "{back:?}");
        }
    }

    #[test]
    fn stored_tensors_of_every_encoding_become_f32() {
        let check = |dtype, encoding: &Encoding, bytes: &[u8], expected: &[f32]| {
            let mut target = vec![f32::NAN; expected.len()];
            // At an odd address, as a caller's buffer may be.
            let mut shifted = vec![0];
            shifted.extend_from_slice(bytes);
            dequantize_payload(dtype, &[expected.len() as u64], encoding, &shifted[1..], &mut target).unwrap();
            assert_eq!(target, expected, "{dtype}");
        };
        let plain = Encoding::Plain;
        check(DType::F64, &plain, &[1.5_f64, -2.0].map(f64::to_le_bytes).concat(), &[1.5, -2.0]);
        check(DType::F8E4M3, &plain, &[0x38, 0xfe], &[1.0, -448.0]);
        check(DType::Bool, &plain, &[0, 1], &[0.0, 1.0]);
        check(DType::U64, &plain, &u64::MAX.to_le_bytes(), &[u64::MAX as f32]);
        check(DType::I64, &plain, &i64::MIN.to_le_bytes(), &[i64::MIN as f32]);
        let encoding = Encoding::Quantized { block: 2, scale: vec![0.5, 2.0], zero_point: vec![1, -1] };
        check(DType::U8, &encoding, &[1, 255, 0], &[0.0, 127.0, 2.0]);
        check(DType::I16, &encoding, &[-1_i16, 2, 300].map(i16::to_le_bytes).concat(), &[-1.0, 0.5, 602.0]);
        let far = Encoding::Quantized { block: 0, scale: vec![1.0], zero_point: vec![i32::MIN] };
        check(DType::U64, &far, &u64::MAX.to_le_bytes(), &[(u64::MAX as f32) + 2_147_483_648.0]);
        check(DType::U8, &far, &[0, 128], &[2_147_483_648.0, 2_147_483_776.0_f32]);
        check(DType::I32, &encoding, &[i32::MIN, 1, 0].map(i32::to_le_bytes).concat(), &[-1_073_741_824.0, 0.0, 2.0]);
        let blocks = Encoding::Blocks { layout: "q8_0".into(), elements: 32, bytes: 34 };
        let mut block = vec![0, 0x3c];
        block.extend(0..32);
        check(DType::Opaque, &blocks, &block, &std::array::from_fn::<f32, 32, _>(|i| i as f32));
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let check = |dtype, shape: &[u64], encoding: Encoding, bytes: usize, elements: usize, kind| {
            let mut target = vec![7.0; elements];
            let error = dequantize_payload(dtype, shape, &encoding, &vec![0; bytes], &mut target).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(target, vec![7.0; elements]);
        };
        let scaled = |block, scales, zero_points| Encoding::Quantized {
            block,
            scale: vec![1.0; scales],
            zero_point: vec![0; zero_points],
        };
        check(DType::I8, &[4], scaled(2, 1, 0), 4, 4, ErrorKind::InvalidShape);
        check(DType::I8, &[4], scaled(2, 2, 1), 4, 4, ErrorKind::InvalidShape);
        check(DType::I8, &[4], scaled(0, 1, 0), 3, 4, ErrorKind::InvalidShape);
        check(DType::I8, &[4], scaled(0, 1, 0), 4, 5, ErrorKind::InvalidShape);
        check(DType::F32, &[1], scaled(0, 1, 0), 4, 1, ErrorKind::Unsupported);
        check(DType::B1, &[8], Encoding::Plain, 1, 8, ErrorKind::Unsupported);
        let blocks = |layout: &str, bytes| Encoding::Blocks { layout: layout.into(), elements: 32, bytes };
        check(DType::Opaque, &[32], blocks("Q8_0", 36), 36, 32, ErrorKind::InvalidShape);
        check(DType::Opaque, &[32], blocks("F4", 16), 16, 32, ErrorKind::Unsupported);
    }
}
