//! Block layouts of ggml (GGUF files): Q4_0 to Q6_K turned into f32, and f32 into Q8_0 and Q4_0.
//!
//! A block holds a fixed number of elements as small integers and one or two f16 scales. The layouts and the order of
//! the arithmetic are those of `ggml-quants.c` and of the PyPI package `gguf` (`gguf/quants.py`), with which the results
//! agree bit for bit: every product and difference is one f32 operation, never fused. A scale that is infinite or NaN
//! spreads by the ordinary rules of f32 (infinity times 0 is NaN); a NaN that comes out has no specified payload.
//!
//! Elements are in the order of the tensor; a row of a tensor is a whole number of blocks.

use std::str::FromStr;

use half::f16;

use crate::error::{Error, ErrorKind, Result};

/// Elements in a block of the layouts with 8 or 16 scales (`QK_K` in ggml).
const SUPER: usize = 256;

macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident = $ggml:literal, $text:literal, $elements:expr, $bytes:expr, $decode:ident;)*) => {
        /// A block layout. The names are those of ggml, as in [`Encoding::Blocks`](crate::Encoding::Blocks).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(non_camel_case_types)] // ggml's names
        pub enum BlockLayout {
            $($(#[$doc])* $name,)*
        }

        impl BlockLayout {
            /// Every layout.
            pub const ALL: &'static [BlockLayout] = &[$(BlockLayout::$name,)*];

            /// The name (`Q4_0`, ...).
            pub const fn name(self) -> &'static str {
                match self { $(BlockLayout::$name => $text,)* }
            }

            /// The number of the type in GGUF files (`ggml_type`).
            pub const fn ggml_type(self) -> u32 {
                match self { $(BlockLayout::$name => $ggml,)* }
            }

            /// Elements in a block.
            pub const fn elements(self) -> usize {
                match self { $(BlockLayout::$name => $elements,)* }
            }

            /// Bytes in a block.
            pub const fn bytes(self) -> usize {
                match self { $(BlockLayout::$name => $bytes,)* }
            }
        }

        /// Turns blocks into numbers. Fails with `InvalidShape` unless `blocks` is a whole number of blocks and `target`
        /// has exactly their elements; then `target` is not touched. Does not allocate.
        pub fn dequantize_blocks(layout: BlockLayout, blocks: &[u8], target: &mut [f32]) -> Result<()> {
            check_lengths(layout, blocks.len(), target.len())?;
            match layout {
                $(BlockLayout::$name => {
                    let (blocks, _) = blocks.as_chunks::<{ $bytes }>();
                    let (targets, _) = target.as_chunks_mut::<{ $elements }>();
                    for (block, target) in blocks.iter().zip(targets) {
                        $decode(block, target);
                    }
                })*
            }
            Ok(())
        }
    };
}

layouts! {
    /// 4 bits, `d * (q - 8)`.
    Q4_0 = 2, "Q4_0", 32, 18, q4_0;
    /// 4 bits, `d * q + m`.
    Q4_1 = 3, "Q4_1", 32, 20, q4_1;
    /// 5 bits, `d * (q - 16)`.
    Q5_0 = 6, "Q5_0", 32, 22, q5_0;
    /// 5 bits, `d * q + m`.
    Q5_1 = 7, "Q5_1", 32, 24, q5_1;
    /// 8 bits, `d * q`.
    Q8_0 = 8, "Q8_0", 32, 34, q8_0;
    /// 2 bits, 16 groups of 16 with a 4-bit scale and minimum each.
    Q2_K = 10, "Q2_K", SUPER, 84, q2_k;
    /// 3 bits, 16 groups of 16 with a 6-bit scale each.
    Q3_K = 11, "Q3_K", SUPER, 110, q3_k;
    /// 4 bits, 8 groups of 32 with a 6-bit scale and minimum each.
    Q4_K = 12, "Q4_K", SUPER, 144, q4_k;
    /// 5 bits, 8 groups of 32 with a 6-bit scale and minimum each.
    Q5_K = 13, "Q5_K", SUPER, 176, q5_k;
    /// 6 bits, 16 groups of 16 with an 8-bit scale each.
    Q6_K = 14, "Q6_K", SUPER, 210, q6_k;
}

impl FromStr for BlockLayout {
    type Err = Error;

    /// Accepts ggml's name in any case. Fails with `Unsupported`.
    fn from_str(text: &str) -> Result<Self> {
        BlockLayout::ALL.iter().copied().find(|layout| layout.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("block layout '{}' is not known", text.escape_debug()))
                .hint("known: Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K")
        })
    }
}

/// Turns numbers into Q8_0 or Q4_0 blocks, with the bits of ggml's reference quantiser. Does not allocate.
///
/// The scale of a block is its largest magnitude / 127 (Q8_0), or its number of largest magnitude / -8 (Q4_0; the first
/// of several), kept as f16. A block of zeros has scale 0. Q8_0 rounds half away from zero, Q4_0 half up, as ggml does.
/// For finite numbers and `d` the f16 scale, `|x - dequantised|` is at most `0.5 * |d|` for Q8_0 and `|d|` for Q4_0
/// (whose codes end at 7: the far end of the other sign is cut), plus `2^-11 * (|x| + |d|)` for the rounding of the
/// scale, where it is a normal f16.
///
/// Fails with `InvalidArgument`, naming the first index, when a number is infinite or NaN, or so large that the scale is
/// no f16 (ggml leaves all of these undefined); with `Unsupported` for other layouts; with `InvalidShape` on lengths.
/// On failure `blocks` may be partly written.
pub fn quantize_blocks(layout: BlockLayout, source: &[f32], blocks: &mut [u8]) -> Result<()> {
    match layout {
        BlockLayout::Q8_0 => quantize_with(layout, source, blocks, q8_0_scale, q8_0_codes),
        BlockLayout::Q4_0 => quantize_with(layout, source, blocks, q4_0_scale, q4_0_codes),
        _ => Err(Error::new(ErrorKind::Unsupported, format!("quantising to {} is not offered", layout.name()))
            .hint("quantise to Q8_0 or Q4_0")),
    }
}

fn check_lengths(layout: BlockLayout, bytes: usize, elements: usize) -> Result<()> {
    let fits = bytes.is_multiple_of(layout.bytes())
        && elements.is_multiple_of(layout.elements())
        && bytes / layout.bytes() == elements / layout.elements();
    if fits {
        return Ok(());
    }
    let (name, block_bytes, block_elements) = (layout.name(), layout.bytes(), layout.elements());
    let what = format!(
        "{bytes} bytes and {elements} elements are not the same whole number of {name} blocks of {block_bytes} bytes and \
         {block_elements} elements"
    );
    Err(Error::new(ErrorKind::InvalidShape, what))
}

/// The f16 at a place of a block, as f32.
#[inline]
fn half_at<const N: usize>(block: &[u8; N], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Low and high halves of 16 bytes are elements 0..16 and 16..32.
#[inline]
fn nibbles(codes: &[u8], target: &mut [f32; 32], value: impl Fn(usize, u8) -> f32) {
    let (low, high) = target.split_at_mut(16);
    for (i, ((&code, low), high)) in codes.iter().zip(low).zip(high).enumerate() {
        *low = value(i, code & 15);
        *high = value(i + 16, code >> 4);
    }
}

fn q4_0(block: &[u8; 18], target: &mut [f32; 32]) {
    let d = half_at(block, 0);
    nibbles(&block[2..], target, |_, code| d * f32::from(code as i8 - 8));
}

fn q4_1(block: &[u8; 20], target: &mut [f32; 32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    nibbles(&block[4..], target, |_, code| d * f32::from(code) + m);
}

/// The fifth bits of 32 elements, at bit 4.
#[inline]
fn fifth_bits<const N: usize>(block: &[u8; N], at: usize) -> impl Fn(usize) -> u8 {
    let bits = u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    move |i| ((bits >> i & 1) << 4) as u8
}

fn q5_0(block: &[u8; 22], target: &mut [f32; 32]) {
    let (d, fifth) = (half_at(block, 0), fifth_bits(block, 2));
    nibbles(&block[6..], target, |i, code| d * f32::from((code | fifth(i)) as i8 - 16));
}

fn q5_1(block: &[u8; 24], target: &mut [f32; 32]) {
    let (d, m, fifth) = (half_at(block, 0), half_at(block, 2), fifth_bits(block, 4));
    nibbles(&block[8..], target, |i, code| d * f32::from(code | fifth(i)) + m);
}

fn q8_0(block: &[u8; 34], target: &mut [f32; 32]) {
    let d = half_at(block, 0);
    for (&code, target) in block[2..].iter().zip(target) {
        *target = f32::from(code as i8) * d;
    }
}

/// 64 bytes of 2-bit codes: two halves of 32 bytes, each four groups of 32 elements at shifts 0, 2, 4, 6. The value gets
/// the group (of 16 elements), the place in the half, the group of 32 and the code.
#[inline]
fn pairs_of_bits(codes: &[u8], target: &mut [f32; SUPER], value: impl Fn(usize, usize, usize, u8) -> f32) {
    for (thirty_two, target) in target.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let codes = &codes[thirty_two / 4 * 32..][..32];
        let shift = thirty_two % 4 * 2;
        for (i, (&code, target)) in codes.iter().zip(target).enumerate() {
            *target = value(thirty_two * 2 + i / 16, i, thirty_two, code >> shift & 3);
        }
    }
}

fn q2_k(block: &[u8; 84], target: &mut [f32; SUPER]) {
    let (scales, codes) = (&block[..16], &block[16..80]);
    let (d, dmin) = (half_at(block, 80), half_at(block, 82));
    let scale: [f32; 16] = std::array::from_fn(|group| d * f32::from(scales[group] & 15));
    let min: [f32; 16] = std::array::from_fn(|group| dmin * f32::from(scales[group] >> 4));
    pairs_of_bits(codes, target, |group, _, _, code| scale[group] * f32::from(code) - min[group]);
}

fn q3_k(block: &[u8; 110], target: &mut [f32; SUPER]) {
    let (high, codes, packed) = (&block[..32], &block[32..96], &block[96..108]);
    let d = half_at(block, 108);
    // Sixteen 6-bit scales: four low bits in bytes 0..8 (low halves first), two high bits in bytes 8..12.
    let scale: [f32; 16] = std::array::from_fn(|group| {
        let low = packed[group % 8] >> (group / 8 * 4) & 15;
        let high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        d * f32::from((low | high << 4) as i8 - 32)
    });
    // A set high bit stands for 0 and a clear one for -4.
    pairs_of_bits(codes, target, |group, i, thirty_two, code| {
        let high = high[i] >> thirty_two & 1;
        scale[group] * f32::from(code as i8 - ((high ^ 1) << 2) as i8)
    });
}

/// Scales and minima of the eight groups of Q4_K and Q5_K: 6 bits each, packed into bytes 4..16 of the block.
#[inline]
fn scales_and_minima<const N: usize>(block: &[u8; N]) -> [(f32, f32); 8] {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    let packed = &block[4..16];
    std::array::from_fn(|group| {
        let (scale, min) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            let low = packed[group + 4];
            (low & 15 | packed[group - 4] >> 2 & 48, low >> 4 | packed[group] >> 2 & 48)
        };
        (d * f32::from(scale), dmin * f32::from(min))
    })
}

/// 128 bytes of 4-bit codes: four runs of 32 bytes, low halves before high halves, with an extra bit from `fifth`.
#[inline]
fn q45_k<const N: usize>(block: &[u8; N], codes: &[u8], target: &mut [f32; SUPER], fifth: impl Fn(usize, usize) -> u8) {
    let groups = scales_and_minima(block);
    for (group, target) in target.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let codes = &codes[group / 2 * 32..][..32];
        let (scale, min) = groups[group];
        for (i, (&code, target)) in codes.iter().zip(target).enumerate() {
            *target = scale * f32::from(code >> (group % 2 * 4) & 15 | fifth(i, group)) - min;
        }
    }
}

fn q4_k(block: &[u8; 144], target: &mut [f32; SUPER]) {
    q45_k(block, &block[16..], target, |_, _| 0);
}

fn q5_k(block: &[u8; 176], target: &mut [f32; SUPER]) {
    let high = &block[16..48];
    q45_k(block, &block[48..], target, |i, group| (high[i] >> group & 1) << 4);
}

fn q6_k(block: &[u8; 210], target: &mut [f32; SUPER]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half_at(block, 208);
    for (thirty_two, target) in target.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        // Each half of 128 elements: 64 bytes of low bits (two runs, low halves first), 32 bytes of high pairs.
        let (half, quarter) = (thirty_two / 4, thirty_two % 4);
        let low = &low[half * 64 + quarter % 2 * 32..][..32];
        let high = &high[half * 32..][..32];
        let scale: [f32; 2] = std::array::from_fn(|group| d * f32::from(scales[thirty_two * 2 + group] as i8));
        for (i, ((&low, &high), target)) in low.iter().zip(high).zip(target).enumerate() {
            let code = low >> (quarter / 2 * 4) & 15 | (high >> (quarter * 2) & 3) << 4;
            *target = scale[i / 16] * f32::from(code as i8 - 32);
        }
    }
}

/// Quantises block by block: `scale` makes the divisor of the number of largest magnitude, `codes` writes the codes for
/// its inverse.
fn quantize_with<const N: usize>(
    layout: BlockLayout,
    source: &[f32],
    blocks: &mut [u8],
    scale: impl Fn(f32) -> f32,
    codes: impl Fn(&[f32; 32], f32, &mut [u8; N]),
) -> Result<()> {
    check_lengths(layout, blocks.len(), source.len())?;
    for (index, (source, block)) in
        source.as_chunks::<32>().0.iter().zip(blocks.chunks_exact_mut(layout.bytes())).enumerate()
    {
        // Magnitudes are ordered as their bits are, NaN last; integers have a maximum in vector units.
        let magnitude = |value: &f32| value.abs().to_bits();
        let largest = source.iter().map(magnitude).max().unwrap_or(0);
        if largest >= INFINITY_BITS
            && let Some(at) = source.iter().position(|value| !value.is_finite())
        {
            let what = format!("element {} is {}; blocks hold finite numbers only", index * 32 + at, source[at]);
            return Err(Error::invalid_argument(what));
        }
        // The first of equal ones gives its sign; ggml starts from +0.
        let extreme = source.iter().copied().find(|value| largest > 0 && magnitude(value) == largest).unwrap_or(0.0);
        let d = scale(extreme);
        let stored = f16::from_f32(d);
        if !stored.is_finite() {
            let what = format!("elements {} to {} need a scale beyond f16", index * 32, index * 32 + 31);
            return Err(Error::invalid_argument(what));
        }
        // ggml: the inverse is taken of the f32 scale, not of what is stored, and 0 stands for "no inverse".
        let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
        // A scale so small that its inverse overflows is stored as 0 anyway; codes of 0 are defined, infinity is not.
        let inverse = if inverse.is_finite() { inverse } else { 0.0 };
        let (head, tail) = block.split_at_mut(2);
        head.copy_from_slice(&stored.to_le_bytes());
        if let Ok(tail) = tail.try_into() {
            codes(source, inverse, tail);
        }
    }
    Ok(())
}

const INFINITY_BITS: u32 = f32::INFINITY.to_bits();

fn q8_0_scale(extreme: f32) -> f32 {
    extreme.abs() / 127.0
}

fn q8_0_codes(source: &[f32; 32], inverse: f32, codes: &mut [u8; 32]) {
    for (value, code) in source.iter().zip(codes) {
        *code = round_half_away(value * inverse) as u8;
    }
}

fn q4_0_scale(extreme: f32) -> f32 {
    extreme / -8.0
}

fn q4_0_codes(source: &[f32; 32], inverse: f32, codes: &mut [u8; 16]) {
    let code = |value: f32| ((value * inverse + 8.5) as i32).clamp(0, 15) as u8;
    let (low, high) = source.split_at(16);
    for ((&low, &high), target) in low.iter().zip(high).zip(codes) {
        *target = code(low) | code(high) << 4;
    }
}

/// The nearest integer, half away from zero, for magnitudes below 2^22: C's `roundf` without a call.
///
/// The number before 0.5 is added, for 0.5 itself would lift 0.49999997 to 1; a true half still reaches the next integer,
/// because the sum is rounded.
#[inline]
fn round_half_away(value: f32) -> i32 {
    const BELOW_HALF: f32 = 0.5_f32.next_down();
    (value + BELOW_HALF.copysign(value)) as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use safetensors::SafeTensors;

    use super::*;
    use crate::DType;

    /// Made by `tests/python/gguf_oracle.py` with the PyPI package `gguf`.
    const FIXTURE: &[u8] = include_bytes!("../../tests/fixtures/ggml.safetensors");

    fn bytes(name: &str) -> Vec<u8> {
        SafeTensors::deserialize(FIXTURE).unwrap().tensor(name).unwrap().data().to_vec()
    }

    fn floats(name: &str) -> Vec<f32> {
        bytes(name).as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }

    /// Bits, with all NaNs alike.
    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
    }

    // A nibble or a scale taken from the wrong place gives plausible weights and a model that talks nonsense.
    #[test]
    fn blocks_become_the_numbers_that_gguf_gives() {
        for &layout in BlockLayout::ALL {
            let (blocks, expected) =
                (bytes(&format!("{}.blocks", layout.name())), floats(&format!("{}.values", layout.name())));
            let mut values = vec![0.0; expected.len()];
            dequantize_blocks(layout, &blocks, &mut values).unwrap();
            assert!(bits(&values) == bits(&expected), "{}", layout.name());
            assert!(values.iter().any(|value| value.is_nan()), "{}: the fixture holds no hard scale", layout.name());
        }
    }

    #[test]
    fn numbers_become_the_blocks_that_gguf_gives() {
        for layout in [BlockLayout::Q8_0, BlockLayout::Q4_0] {
            let (source, expected) =
                (floats(&format!("{}.source", layout.name())), bytes(&format!("{}.quantized", layout.name())));
            let mut blocks = vec![0; expected.len()];
            quantize_blocks(layout, &source, &mut blocks).unwrap();
            assert_eq!(blocks, expected, "{}", layout.name());
        }
    }

    #[test]
    fn sizes_are_those_of_an_encoding() {
        for &layout in BlockLayout::ALL {
            assert_eq!(layout.name().to_lowercase().parse::<BlockLayout>().unwrap(), layout);
            let encoding = crate::Encoding::Blocks {
                layout: layout.name().into(),
                elements: layout.elements() as u32,
                bytes: layout.bytes() as u32,
            };
            assert_eq!(
                crate::byte_len(DType::Opaque, &[512], &encoding).unwrap() as usize,
                512 / layout.elements() * layout.bytes()
            );
        }
        assert_eq!("Q9_0".parse::<BlockLayout>().unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn lengths_and_numbers_without_a_code_are_refused() {
        let mut values = [7.0; 64];
        for blocks in [33, 35, 34, 102] {
            let error = dequantize_blocks(BlockLayout::Q8_0, &vec![0; blocks], &mut values).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidShape, "{blocks} bytes");
        }
        assert_eq!(values, [7.0; 64]);
        dequantize_blocks(BlockLayout::Q6_K, &[], &mut []).unwrap();
        for (at, value) in [(0, f32::NAN), (33, f32::INFINITY), (63, f32::NEG_INFINITY), (40, f32::MAX)] {
            let mut source = [1.0; 64];
            source[at] = value;
            let error = quantize_blocks(BlockLayout::Q8_0, &source, &mut [0; 68]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{value} at {at}");
            let place = if value.is_finite() { "elements 32 to 63".into() } else { format!("element {at} ") };
            assert!(error.what().contains(&place), "{error}");
        }
        assert_eq!(
            quantize_blocks(BlockLayout::Q6_K, &[0.0; 256], &mut [0; 210]).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }

    proptest! {
        #[test]
        fn rounding_is_half_away_from_zero(value in -4_000_000.0_f32..4_000_000.0, half in -2_000_000_i32..2_000_000) {
            let tie = half as f32 + 0.5;
            for value in [value, value / 30_000.0, tie, tie.next_up(), tie.next_down(), (half % 130) as f32 + 0.5] {
                for value in [value, value.next_up(), value.next_down()] {
                    // Exact in f64. `f32::round` itself is a function of the C library, and that of mingw makes 1 of
                    // the number before a half.
                    let away = (f64::from(value).abs() + 0.5).floor() as i32;
                    let expected = if value < 0.0 { -away } else { away };
                    prop_assert_eq!(round_half_away(value), expected, "{:e}", value);
                }
            }
        }

        // The bound in the documentation is what users of quantised weights rely on.
        #[test]
        fn the_error_is_within_the_documented_bound(
            source in proptest::collection::vec(-1.0_f32..1.0, 32), exponent in -4_i32..18, zeros in any::<u32>(),
        ) {
            let source: Vec<f32> = source
                .iter()
                .enumerate()
                .map(|(i, value)| if zeros >> i & 3 == 3 { 0.0 } else { value * 2_f32.powi(exponent) })
                .collect();
            for (layout, steps) in [(BlockLayout::Q8_0, 0.5), (BlockLayout::Q4_0, 1.0)] {
                let mut blocks = vec![0; layout.bytes()];
                let mut back = vec![0.0; 32];
                quantize_blocks(layout, &source, &mut blocks).unwrap();
                dequantize_blocks(layout, &blocks, &mut back).unwrap();
                let d = f64::from(f16::from_le_bytes([blocks[0], blocks[1]]).to_f32()).abs();
                prop_assume!(d == 0.0 || d >= 2_f64.powi(-14)); // a normal f16
                for (&x, &y) in source.iter().zip(&back) {
                    let (x, y) = (f64::from(x), f64::from(y));
                    let bound = steps * d + (x.abs() + d) * 2_f64.powi(-11);
                    prop_assert!((x - y).abs() <= bound * (1.0 + 1e-6), "{x} became {y}, d = {d}");
                }
            }
        }
    }
}
