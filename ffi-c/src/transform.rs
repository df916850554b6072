//! Other forms of numbers: JSON, conversions between types, 8-bit codes, blocks of GGUF files, digests.

use std::ffi::{c_char, c_void};

use engine::Digest;
use engine::kernels::convert::{Overflow, convert};
use engine::kernels::ggml::{BlockLayout, dequantize_blocks, quantize_blocks};
use engine::kernels::json::{self, NonFinite};
use engine::kernels::quantize::{self, Scheme};

use crate::math::dtype;
use crate::memory::{Out, apart, bytes, input, output, size, span, text, zeroed};
use crate::wall::{Failure, Outcome, ta_error, wall};

/// Reads a JSON array of numbers. TA_INVALID_ARGUMENT, with the place in the text, for anything else.
/// Takes memory of at most twice the text; TA_OUT_OF_MEMORY where it cannot be had.
#[unsafe(no_mangle)]
pub extern "C" fn ta_json_parse(
    json: *const c_char,
    json_length: u64,
    out: *mut f32,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let text = input(json.cast::<u8>(), json_length)?;
        apart(&[span(out, capacity), span(length, 1)], &[span(json, json_length)])?;
        let out = Out::sized(out, capacity, length)?;
        let mut values = Vec::new();
        json::parse(text, usize::MAX, &mut values)?;
        out.fill(&values)
    })
}

/// Writes numbers as a JSON array, shortest digits that read back the same. NaN and infinities are TA_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn ta_json_write(
    values: *const f32,
    count: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_json_write_with(values, count, 0, out, capacity, length, error)
}

/// As ta_json_write, and with `nulls` not 0 a NaN or an infinity is `null`, which ta_json_parse does not read back.
#[unsafe(no_mangle)]
pub extern "C" fn ta_json_write_with(
    values: *const f32,
    count: u64,
    nulls: u32,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let numbers = input(values, count)?;
        apart(&[span(out.cast::<u8>(), capacity), span(length, 1)], &[span(values, count)])?;
        let out = Out::text(out, capacity, length)?;
        let mut text = Vec::new();
        let non_finite = if nulls == 0 { NonFinite::Refuse } else { NonFinite::Null };
        json::write_bytes(numbers, non_finite, &mut text)?;
        out.fill(&text)
    })
}

/// Converts `count` floats between f64, f32, f16, bf16, f8e4m3, f8e5m2, rounding half to even. What is beyond the target
/// becomes infinity, or with `saturate` not 0 the largest finite number. Any alignment.
#[unsafe(no_mangle)]
pub extern "C" fn ta_convert(
    source: *const c_void,
    from: u32,
    target: *mut c_void,
    to: u32,
    count: u64,
    saturate: u32,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (from, to) = (dtype(from)?, dtype(to)?);
        let len = |kind| engine::byte_len(kind, &[count], &engine::Encoding::Plain);
        let (from_bytes, to_bytes) = (len(from)?, len(to)?);
        apart(&[span(target.cast::<u8>(), to_bytes)], &[span(source.cast::<u8>(), from_bytes)])?;
        let overflow = if saturate == 0 { Overflow::Infinity } else { Overflow::Saturate };
        let target = output(target.cast::<u8>(), to_bytes)?;
        Ok(convert(bytes(source, from_bytes)?, from, target, to, overflow)?)
    })
}

fn scales(count: u64, block: u64) -> Outcome<u64> {
    Ok(quantize::scale_count(size(count)?, size(block)?) as u64)
}

/// Quantises f32 to int8 codes: value = scale * (code - zero point). `block` elements share a scale, 0 for all of them:
/// `scale` takes ceil(count / block) numbers, or 1. `zero_point` takes as many, or is NULL for symmetric codes.
#[unsafe(no_mangle)]
pub extern "C" fn ta_quantize_i8(
    source: *const f32,
    count: u64,
    block: u64,
    codes: *mut i8,
    scale: *mut f32,
    zero_point: *mut i32,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (numbers, scale_count) = (input(source, count)?, scales(count, block)?);
        let zeros = if zero_point.is_null() { 0 } else { scale_count };
        let outputs = [span(codes, count), span(scale, scale_count), span(zero_point, zeros)];
        apart(&outputs, &[span(source, count)])?;
        let (to_codes, to_scale, to_zero) =
            (output(codes, count)?, output(scale, scale_count)?, output(zero_point, zeros)?);
        let scheme = if zeros == 0 { Scheme::Symmetric } else { Scheme::Affine };
        let (mut own_codes, mut own_scale) = (zeroed(size(count)?)?, zeroed(size(scale_count)?)?);
        let mut own_zero = zeroed(size(zeros)?)?;
        quantize::quantize(numbers, scheme, size(block)?, &mut own_codes, &mut own_scale, &mut own_zero)?;
        to_codes.copy_from_slice(&own_codes);
        to_scale.copy_from_slice(&own_scale);
        to_zero.copy_from_slice(&own_zero);
        Ok(())
    })
}

/// The inverse of ta_quantize_i8.
#[unsafe(no_mangle)]
pub extern "C" fn ta_dequantize_i8(
    codes: *const i8,
    count: u64,
    block: u64,
    scale: *const f32,
    zero_point: *const i32,
    out: *mut f32,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let scale_count = scales(count, block)?;
        let zeros = if zero_point.is_null() { 0 } else { scale_count };
        let inputs = [span(codes, count), span(scale, scale_count), span(zero_point, zeros)];
        apart(&[span(out, count)], &inputs)?;
        let (codes, scale, zero) = (input(codes, count)?, input(scale, scale_count)?, input(zero_point, zeros)?);
        Ok(quantize::dequantize(codes, size(block)?, scale, zero, output(out, count)?)?)
    })
}

/// Turns blocks of a GGUF layout (`Q4_0` .. `Q6_K`) into `count` numbers.
#[unsafe(no_mangle)]
pub extern "C" fn ta_gguf_dequantize(
    layout: *const c_char,
    layout_length: u64,
    blocks: *const c_void,
    block_bytes: u64,
    out: *mut f32,
    count: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let layout = self::layout(layout, layout_length)?;
        apart(&[span(out, count)], &[span(blocks.cast::<u8>(), block_bytes)])?;
        Ok(dequantize_blocks(layout, bytes(blocks, block_bytes)?, output(out, count)?)?)
    })
}

/// Turns `count` numbers into blocks of a GGUF layout, `Q8_0` or `Q4_0`, with the bits of ggml's own quantiser. `block_bytes`
/// must be what they take: 34 or 18 for 32 numbers. TA_INVALID_ARGUMENT for NaN, infinities, and numbers whose scale is
/// beyond f16.
#[unsafe(no_mangle)]
pub extern "C" fn ta_gguf_quantize(
    layout: *const c_char,
    layout_length: u64,
    source: *const f32,
    count: u64,
    blocks: *mut c_void,
    block_bytes: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let layout = self::layout(layout, layout_length)?;
        apart(&[span(blocks.cast::<u8>(), block_bytes)], &[span(source, count)])?;
        let target = output(blocks.cast::<u8>(), block_bytes)?;
        let mut own = zeroed::<u8>(target.len())?;
        quantize_blocks(layout, input(source, count)?, &mut own)?;
        target.copy_from_slice(&own);
        Ok(())
    })
}

/// BLAKE3-256 of bytes, as ta_info has it of a payload: `digest` takes 32 bytes.
#[unsafe(no_mangle)]
pub extern "C" fn ta_digest(data: *const c_void, count: u64, digest: *mut u8, error: *mut ta_error) -> i32 {
    wall(error, || {
        apart(&[span(digest, 32)], &[span(data.cast::<u8>(), count)])?;
        let target = output(digest, 32)?;
        target.copy_from_slice(&Digest::of(bytes(data, count)?).0);
        Ok(())
    })
}

fn layout(name: *const c_char, length: u64) -> Outcome<BlockLayout> {
    let name = text(name, length)?;
    let layout = BlockLayout::ALL.iter().copied().find(|layout| layout.name() == name);
    layout.ok_or_else(|| Failure::argument(format!("no layout is named '{}'", name.escape_debug())))
}
