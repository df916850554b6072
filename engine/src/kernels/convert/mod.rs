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
#[cfg(target_arch = "x86_64")]
mod eight;

use half::{bf16, f16};
use zerocopy::{FromBytes, IntoBytes, Unalign};

use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};

use super::dispatch::{self, Level};
#[cfg(target_arch = "x86_64")]
use super::float::{BF16, E4M3, E5M2, F16, F32};

pub use super::float::{Float, Overflow};
pub use crate::element::{F8E4M3, F8E5M2};

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
    let done = leading(isa, source, from, target, to, overflow);
    let (source, target) = (&source[done * bytes_of(from)..], &mut target[done * bytes_of(to)..]);
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

/// Bytes of an element of a type that was checked.
fn bytes_of(dtype: DType) -> usize {
    (dtype.bits() / 8) as usize
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

/// Converts as many leading elements as the wide registers of `isa` take, and returns how many. Pairs without f32 go
/// through it block by block, which rounds once all the same: every narrower type widens to f32 exactly, and f64 is
/// rounded *to odd*, after which a second rounding to two bits fewer, or less, gives what one rounding gives (Boldo and
/// Melquiond, *Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd*, 2008).
fn leading(isa: Level, source: &[u8], from: DType, target: &mut [u8], to: DType, overflow: Overflow) -> usize {
    const BLOCK: usize = 512;
    if isa == Level::Scalar {
        return 0;
    }
    if from == DType::F32 || to == DType::F32 {
        return direct(isa, source, from, target, to, overflow, false);
    }
    let mut wide = [0; 4 * BLOCK];
    let mut done = 0;
    let blocks = source.chunks(BLOCK * bytes_of(from)).zip(target.chunks_mut(BLOCK * bytes_of(to)));
    for (source, target) in blocks {
        let widened = direct(isa, source, from, &mut wide, DType::F32, Overflow::Infinity, true);
        let narrowed = direct(isa, &wide[..4 * widened], DType::F32, target, to, overflow, false);
        done += narrowed;
        if narrowed < BLOCK {
            break;
        }
    }
    done
}

/// Converts as many leading elements as the wide registers of `isa` take from or to f32, and returns how many. `odd` is
/// how f64 is rounded.
#[cfg(target_arch = "x86_64")]
fn direct(
    isa: Level,
    source: &[u8],
    from: DType,
    target: &mut [u8],
    to: DType,
    overflow: Overflow,
    odd: bool,
) -> usize {
    use DType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64};
    // Each function needs the instructions of `isa`, and a value other than `Scalar` comes only from `dispatch`,
    // which asked the processor for all of them.
    macro_rules! pairs {
        ($set:ident: $($pattern:pat => $function:ident($($more:expr),*);)*) => {
            match (from, to, odd) {
                $(
                    // SAFETY: the processor has these instructions, see above.
                    $pattern => unsafe { $set::$function(source, target $(, $more)*) },
                )*
                _ => 0,
            }
        };
    }
    macro_rules! path {
        ($set:ident) => {
            pairs! { $set:
                (F32, F64, _) => f32_to_f64();
                (F32, F16, _) => f32_to_f16();
                (F32, Bf16, _) => f32_to_bf16();
                (F32, F8E4M3, _) => f32_to_f8(&E4M3, overflow);
                (F32, F8E5M2, _) => f32_to_f8(&E5M2, overflow);
                (F64, F32, false) => f64_to_f32();
                (F64, F32, true) => f64_to_f32_odd();
                (F16, F32, _) => f16_to_f32();
                (Bf16, F32, _) => bf16_to_f32();
                (F8E4M3, F32, _) => f8_to_f32(&E4M3);
                (F8E5M2, F32, _) => f8_to_f32(&E5M2);
            }
        };
    }
    let done = match isa {
        Level::Scalar => 0,
        Level::Avx2 => path!(avx2),
        Level::Avx512 => path!(avx512),
    };
    if overflow == Overflow::Saturate {
        saturate(&mut target[..done * bytes_of(to)], to);
    }
    done
}

#[cfg(not(target_arch = "x86_64"))]
fn direct(_: Level, _: &[u8], _: DType, _: &mut [u8], _: DType, _: Overflow, _: bool) -> usize {
    0
}

/// Replaces infinities by the largest finite numbers; the code before infinity is the largest. 8-bit types are saturated
/// where they are made.
#[cfg(target_arch = "x86_64")]
fn saturate(target: &mut [u8], dtype: DType) {
    macro_rules! codes {
        ($word:ty, $layout:expr) => {
            if let Ok(codes) = <[Unalign<$word>]>::mut_from_bytes(target) {
                for code in codes {
                    let value = code.get();
                    let is_infinite = value & (<$word>::MAX >> 1) == $layout.beyond as $word;
                    *code = Unalign::new(value - <$word>::from(is_infinite));
                }
            }
        };
    }
    match dtype {
        DType::F32 => codes!(u32, F32),
        DType::F16 => codes!(u16, F16),
        DType::Bf16 => codes!(u16, BF16),
        _ => {}
    }
}

/// Runs `body` on each whole chunk of the source and of the target, of `LANES` elements. Returns the elements done.
#[cfg(target_arch = "x86_64")]
#[inline(always)] // so that the body is compiled with the instructions of its caller
fn chunks<const LANES: usize, const S: usize, const T: usize>(
    source: &[u8],
    target: &mut [u8],
    body: impl Fn(&[u8; S], &mut [u8; T]),
) -> usize {
    let (source, target) = (source.as_chunks::<S>().0, target.as_chunks_mut::<T>().0);
    for (source, target) in source.iter().zip(target.iter_mut()) {
        body(source, target);
    }
    LANES * source.len().min(target.len())
}

#[cfg(test)]
mod tests {
    use super::super::float::tests::{hard_numbers, narrow};
    use super::super::float::{Layout, encode};
    use super::*;
    use crate::testing::random::{Random, effort};

    const FLOATS: [DType; 6] = [DType::F64, DType::F32, DType::Bf16, DType::F16, DType::F8E5M2, DType::F8E4M3];

    fn available() -> impl Iterator<Item = Level> {
        dispatch::Present::all().into_iter().map(dispatch::Present::level)
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

    // Widening an infinity must not lose it because the caller saturates elsewhere.
    #[test]
    fn infinity_survives_towards_a_larger_range() {
        let mut wide = [0_f32; 3];
        let source = [f16::INFINITY, f16::NEG_INFINITY, f16::MAX];
        convert_slice(&source, &mut wide, Overflow::Saturate).unwrap();
        assert_eq!(wide, [f32::INFINITY, f32::NEG_INFINITY, 65_504.0]);
    }

    fn layout_of(dtype: DType) -> &'static Layout {
        match dtype {
            DType::F16 => &F16,
            DType::Bf16 => &BF16,
            DType::F8E4M3 => &E4M3,
            DType::F8E5M2 => &E5M2,
            _ => &F32,
        }
    }

    /// Elements of type `from` that are hard to convert to `to`: all codes of a narrow type, of others the numbers around
    /// those and the midpoints of the target, each NaN there is, and some anywhere.
    fn hard_elements(from: DType, to: DType, random: &mut Random) -> Vec<u8> {
        match from {
            DType::F8E4M3 | DType::F8E5M2 => (0..=u8::MAX).collect(),
            DType::F16 | DType::Bf16 => (0..=u16::MAX).flat_map(u16::to_le_bytes).collect(),
            DType::F32 => {
                let around = |value: f64| {
                    let value = narrow::<f32>(value);
                    [value, value.next_up(), value.next_down()].map(f32::to_bits)
                };
                let nan = [0x7f80_0001_u32, 0xff80_0001, 0x7fbf_ffff, 0xffff_ffff, 0x7fc0_0000, 1, 0x8000_0001];
                let hard = hard_numbers(layout_of(to)).into_iter().flat_map(around).chain(nan);
                let anywhere = (0..20_000).map(|_| random.next_u64() as u32);
                hard.chain(anywhere).flat_map(u32::to_le_bytes).collect()
            }
            _ => {
                let nan =
                    [1, u64::MAX >> 1, 0x7ff0_0000_2000_0000, 0xfff0_0000_0000_0001, 0x7fff_ffff_ffff_ffff, 1 << 63];
                let hard = hard_numbers(layout_of(to)).into_iter().map(f64::to_bits).chain(nan);
                // Most f64 are far beyond what the others reach.
                let anywhere = (0..20_000).map(|n| match n % 2 {
                    0 => random.next_u64(),
                    _ => (random.next_u64() & !(0x7ff << 52)) | (1023 - 160 + random.below(300)) << 52,
                });
                hard.chain(anywhere).flat_map(u64::to_le_bytes).collect()
            }
        }
    }

    /// Converts on every instruction set and compares with the scalar form.
    fn check_sets(source: &[u8], from: DType, to: DType, overflow: Overflow, offset: usize) {
        let len = source.len() / bytes_of(from) * bytes_of(to);
        let mut oracle = vec![0; len];
        convert_on(Level::Scalar, source, from, &mut oracle, to, overflow);
        for isa in available().filter(|&isa| isa != Level::Scalar) {
            let mut ours = vec![0; len + offset];
            convert_on(isa, source, from, &mut ours[offset..], to, overflow);
            if ours[offset..] != oracle {
                let sizes = (bytes_of(from), bytes_of(to));
                let differs =
                    |at: &usize| ours[offset + at * sizes.1..][..sizes.1] != oracle[at * sizes.1..][..sizes.1];
                let at = (0..len / sizes.1).find(differs).unwrap();
                let element = |bytes: &[u8], size: usize| bytes[at * size..][..size].to_vec();
                let (source, ours, oracle) =
                    (element(source, sizes.0), element(&ours[offset..], sizes.1), element(&oracle, sizes.1));
                panic!("{isa:?}, {from} to {to}, {overflow:?}: {source:x?} gives {ours:x?}, not {oracle:x?}");
            }
        }
    }

    // A machine with wider registers must not store other bits than one without.
    #[test]
    fn every_instruction_set_gives_the_bits_of_the_scalar_form() {
        let mut random = Random::new(7);
        for from in FLOATS {
            for to in FLOATS {
                let values = hard_elements(from, to, &mut random);
                let elements = values.len() / bytes_of(from);
                for overflow in [Overflow::Infinity, Overflow::Saturate] {
                    check_sets(&values, from, to, overflow, 0);
                    // Blocks are 512 elements long.
                    for count in (0..=67).chain([511, 512, 513, 527, 1024 + 17]) {
                        let start = random.below(elements as u64) as usize;
                        let end = (start + count).min(elements);
                        check_sets(
                            &values[start * bytes_of(from)..end * bytes_of(from)],
                            from,
                            to,
                            overflow,
                            count % 3,
                        );
                    }
                }
            }
        }
    }

    // One f32 in 9,973 of all there are; every one of them with TENSORATOM_TEST_EFFORT=9973, in an hour.
    #[test]
    fn f32_are_narrowed_alike_on_every_instruction_set_from_end_to_end() {
        let step = (9973 / effort(1)).max(1);
        let mut values = Vec::new();
        for first in (0..=u64::from(u32::MAX)).step_by((step << 16) as usize) {
            values.clear();
            let block = (first..first + (step << 16)).step_by(step as usize);
            values.extend(block.filter_map(|bits| u32::try_from(bits).ok()).flat_map(u32::to_le_bytes));
            for to in [DType::F16, DType::Bf16, DType::F8E4M3, DType::F8E5M2] {
                check_sets(&values, DType::F32, to, Overflow::Infinity, 0);
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
