//! Vector mathematics over memory of the caller, as C++ calls it.

use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};
use tensoratom::kernels::convert::Overflow;
use tensoratom::kernels::ggml::{BlockLayout, dequantize_blocks, quantize_blocks};
use tensoratom::kernels::json::{self, NonFinite};
use tensoratom::kernels::quantize::Scheme;
use tensoratom::kernels::{self, Float, Reduction, Rows};
use tensoratom::{Error, Result};

use crate::bridge::ffi::{Failure, RowsRef};
use crate::wall::{Failed, dtype, metric, wall};

pub(crate) fn rows<'a>(r: &RowsRef<'a>) -> Result<Rows<'a>> {
    let dtype = dtype(r.dtype)?;
    match r.stride_bytes {
        0 => Rows::new(dtype, r.rows, r.dim, r.bytes),
        stride => Rows::strided(dtype, r.rows, r.dim, stride, r.bytes),
    }
}

pub(crate) fn kernel_isa() -> String {
    kernels::isa().name().to_owned()
}

pub(crate) fn many_to_many(
    metric_number: u8,
    queries: RowsRef<'_>,
    data: RowsRef<'_>,
    out: &mut [f64],
    failure: &mut Failure,
) -> Result<(), Failed> {
    wall(failure, || kernels::many_to_many(metric(metric_number)?, rows(&queries)?, rows(&data)?, out))
}

pub(crate) fn reduce(what: u8, row: RowsRef<'_>, failure: &mut Failure) -> Result<f64, Failed> {
    wall(failure, || kernels::reduce(Reduction::from_number(what).ok_or_else(|| unknown(what))?, rows(&row)?))
}

pub(crate) fn variance(row: RowsRef<'_>, ddof: u64, failure: &mut Failure) -> Result<f64, Failed> {
    wall(failure, || kernels::variance(rows(&row)?, ddof))
}

pub(crate) fn arg_extreme(row: RowsRef<'_>, largest: bool, failure: &mut Failure) -> Result<usize, Failed> {
    wall(failure, || if largest { kernels::argmax(rows(&row)?) } else { kernels::argmin(rows(&row)?) })
}

pub(crate) fn centroid(
    data: RowsRef<'_>,
    weights: &[f64],
    out: &mut [f64],
    failure: &mut Failure,
) -> Result<(), Failed> {
    wall(failure, || kernels::centroid(rows(&data)?, (!weights.is_empty()).then_some(weights), out))
}

pub(crate) fn top_k(distances: &[f64], k: usize, failure: &mut Failure) -> Result<Vec<usize>, Failed> {
    wall(failure, || kernels::top_k(distances, k))
}

/// The operations of one element type; `$view` and `$view_mut` make numbers of what crosses the bridge.
macro_rules! elementwise {
    ($($name:ident: $Bits:ty, |$bits:ident| $view:expr, $view_mut:expr;)*) => {
        $(
            #[allow(clippy::too_many_arguments)] // the bridge has no overloads
            pub(crate) fn $name(
                what: u8,
                a: &[$Bits],
                b: &[$Bits],
                c: &[$Bits],
                t: f64,
                out: &mut [$Bits],
                failure: &mut Failure,
            ) -> Result<(), Failed> {
                let [a, b, c] = [a, b, c].map(|$bits| $view);
                let out = { let $bits = out; $view_mut };
                wall(failure, || elementwise(what, a, b, c, t, out))
            }
        )*
    };
}

elementwise! {
    elementwise_f32: f32, |numbers| numbers, numbers;
    elementwise_f64: f64, |numbers| numbers, numbers;
    elementwise_f16: u16, |bits| bits.reinterpret_cast::<f16>(), bits.reinterpret_cast_mut::<f16>();
    elementwise_bf16: u16, |bits| bits.reinterpret_cast::<bf16>(), bits.reinterpret_cast_mut::<bf16>();
}

fn elementwise<T: Float>(what: u8, a: &[T], b: &[T], c: &[T], t: f64, out: &mut [T]) -> Result<()> {
    match what {
        0 => kernels::add(a, b, out),
        1 => kernels::sub(a, b, out),
        2 => kernels::lerp(a, b, t, out),
        3 => kernels::scale(a, t, out),
        4 => kernels::normalize(a, out),
        5 => kernels::softmax(a, out),
        6 => kernels::fma(a, b, c, out),
        _ => Err(unknown(what)),
    }
}

fn unknown(what: u8) -> Error {
    Error::invalid_argument(format!("no function has number {what}"))
}

pub(crate) fn convert(
    source: &[u8],
    from: u8,
    target: &mut [u8],
    to: u8,
    saturate: bool,
    failure: &mut Failure,
) -> Result<(), Failed> {
    let overflow = if saturate { Overflow::Saturate } else { Overflow::Infinity };
    wall(failure, || kernels::convert::convert(source, dtype(from)?, target, dtype(to)?, overflow))
}

pub(crate) fn quantize(
    source: &[f32],
    affine: bool,
    block: usize,
    codes: &mut [i8],
    scale: &mut [f32],
    zero_point: &mut [i32],
    failure: &mut Failure,
) -> Result<(), Failed> {
    let scheme = if affine { Scheme::Affine } else { Scheme::Symmetric };
    wall(failure, || kernels::quantize::quantize(source, scheme, block, codes, scale, zero_point))
}

pub(crate) fn dequantize(
    codes: &[i8],
    block: usize,
    scale: &[f32],
    zero_point: &[i32],
    target: &mut [f32],
    failure: &mut Failure,
) -> Result<(), Failed> {
    wall(failure, || kernels::quantize::dequantize(codes, block, scale, zero_point, target))
}

pub(crate) fn json_parse(text: &[u8], failure: &mut Failure) -> Result<Vec<f32>, Failed> {
    wall(failure, || {
        let mut values = Vec::new();
        json::parse(text, usize::MAX, &mut values)?;
        Ok(values)
    })
}

pub(crate) fn json_write(values: &[f32], nulls: bool, failure: &mut Failure) -> Result<String, Failed> {
    wall(failure, || {
        let mut text = String::new();
        json::write(values, if nulls { NonFinite::Null } else { NonFinite::Refuse }, &mut text)?;
        Ok(text)
    })
}

pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    tensoratom::Digest::of(bytes).0
}

pub(crate) fn gguf_block_bytes(layout: &str, elements: usize, failure: &mut Failure) -> Result<usize, Failed> {
    wall(failure, || {
        let layout = layout.parse::<BlockLayout>()?;
        Ok((elements / layout.elements()).saturating_mul(layout.bytes()))
    })
}

pub(crate) fn gguf_quantize(
    layout: &str,
    source: &[f32],
    blocks: &mut [u8],
    failure: &mut Failure,
) -> Result<(), Failed> {
    wall(failure, || quantize_blocks(layout.parse::<BlockLayout>()?, source, blocks))
}

pub(crate) fn gguf_dequantize(
    layout: &str,
    blocks: &[u8],
    target: &mut [f32],
    failure: &mut Failure,
) -> Result<(), Failed> {
    wall(failure, || dequantize_blocks(layout.parse::<BlockLayout>()?, blocks, target))
}
