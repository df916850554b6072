//! f32 to and from the 8-bit types, in integer arithmetic without branches: plain code that the compiler makes wide in the
//! functions of an instruction set that call it.

use super::super::float::Layout;
use super::Overflow;

const MANTISSA_BITS: u32 = 23;
const BIAS: u32 = 127;
const INFINITY: u32 = 0x7f80_0000;
const QUIET_NAN: u32 = 0x7fc0_0000;

/// Rounds to nearest even. Returns how many elements were done: all.
#[inline(always)] // so that it is compiled with the instructions of its caller, for one layout
pub(super) fn narrow(source: &[u8], target: &mut [u8], layout: &Layout, overflow: Overflow) -> usize {
    let source = source.as_chunks::<4>().0;
    let shift = MANTISSA_BITS - layout.mantissa_bits;
    let (max, nan) = (layout.max as u32, layout.nan as u32);
    let beyond = if overflow == Overflow::Saturate { max } else { layout.beyond as u32 };
    let rebias = (BIAS - layout.bias as u32) << MANTISSA_BITS;
    let normal_min = rebias + (1 << MANTISSA_BITS);
    // A number whose last bit is worth as much as the smallest step of the target: adding it rounds to whole steps.
    let magic = (BIAS + MANTISSA_BITS + 1 - layout.bias as u32 - layout.mantissa_bits) << MANTISSA_BITS;
    for (bytes, target) in source.iter().zip(target.iter_mut()) {
        let bits = u32::from_le_bytes(*bytes);
        let magnitude = bits & 0x7fff_ffff;
        let odd = (magnitude >> shift) & 1;
        let half_less = (1 << (shift - 1)) - 1;
        let normal = magnitude.wrapping_sub(rebias).wrapping_add(half_less + odd) >> shift;
        let small = (f32::from_bits(magnitude) + f32::from_bits(magic)).to_bits().wrapping_sub(magic);
        let code = if magnitude < normal_min { small } else { normal };
        let code = if code > max { beyond } else { code };
        let code = if magnitude > INFINITY { nan } else { code };
        *target = (code | bits >> 24 & 0x80) as u8;
    }
    source.len().min(target.len())
}

/// Exact. Returns how many elements were done: all.
#[inline(always)] // as above
pub(super) fn widen(source: &[u8], target: &mut [u8], layout: &Layout) -> usize {
    let target = target.as_chunks_mut::<4>().0;
    let shift = MANTISSA_BITS - layout.mantissa_bits;
    let rebias = (BIAS - layout.bias as u32) << MANTISSA_BITS;
    let step = f32::from_bits((BIAS + 1 - layout.bias as u32 - layout.mantissa_bits) << MANTISSA_BITS);
    let has_infinity = layout.beyond != layout.nan;
    for (&code, target) in source.iter().zip(target.iter_mut()) {
        let magnitude = u32::from(code & 0x7f);
        let normal = (magnitude << shift) + rebias;
        let small = (magnitude as i32 as f32 * step).to_bits();
        let bits = if magnitude < 1 << layout.mantissa_bits { small } else { normal };
        let special = if has_infinity && u64::from(magnitude) == layout.beyond { INFINITY } else { QUIET_NAN };
        let bits = if u64::from(magnitude) > layout.max { special } else { bits };
        *target = (bits | u32::from(code & 0x80) << 24).to_le_bytes();
    }
    source.len().min(target.len())
}
