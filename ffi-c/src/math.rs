//! Vector math over memory of the caller: pairs, one to many, many to many, reductions, arithmetic.

use std::ffi::{c_char, c_void};

use engine::kernels::{self, Metric, Reduction, Rows};
use engine::{DType, PAYLOAD_BYTES_MAX};
use half::{bf16, f16};

use crate::memory::{One, Out, apart, bytes, input, output, size, span, zeroed};
use crate::report::answer;
use crate::wall::{Failure, Outcome, ta_error, wall};

/// Elements of 64-bit floats. Numbers of types are those of the storage format.
pub const TA_F64: u32 = 1;
/// binary32.
pub const TA_F32: u32 = 2;
/// binary16.
pub const TA_F16: u32 = 3;
/// bfloat16.
pub const TA_BF16: u32 = 4;
/// OCP E4M3.
pub const TA_F8E4M3: u32 = 5;
/// OCP E5M2.
pub const TA_F8E5M2: u32 = 6;
/// Signed 64-bit integers.
pub const TA_I64: u32 = 7;
/// Signed 32-bit integers.
pub const TA_I32: u32 = 8;
/// Signed 16-bit integers.
pub const TA_I16: u32 = 9;
/// Signed 8-bit integers.
pub const TA_I8: u32 = 10;
/// Unsigned 64-bit integers.
pub const TA_U64: u32 = 11;
/// Unsigned 32-bit integers.
pub const TA_U32: u32 = 12;
/// Unsigned 16-bit integers.
pub const TA_U16: u32 = 13;
/// Unsigned 8-bit integers.
pub const TA_U8: u32 = 14;
/// One byte per element, 0 or 1.
pub const TA_BOOL: u32 = 15;
/// Packed bits, lowest first; each row starts at a byte.
pub const TA_B1: u32 = 16;
/// Blocks of a named layout.
pub const TA_OPAQUE: u32 = 17;

/// Minus the inner product. Every metric is a distance.
pub const TA_DOT: u32 = 1;
/// 1 - cosine similarity.
pub const TA_COSINE: u32 = 2;
/// Squared Euclidean distance.
pub const TA_SQEUCLIDEAN: u32 = 3;
/// Euclidean distance.
pub const TA_EUCLIDEAN: u32 = 4;
/// Sum of absolute differences.
pub const TA_MANHATTAN: u32 = 5;
/// Number of elements (bits) that differ.
pub const TA_HAMMING: u32 = 6;
/// 1 - intersection / union of the non-zero elements.
pub const TA_JACCARD: u32 = 7;

/// The sum, for ta_reduce.
pub const TA_SUM: u32 = 1;
/// The mean; TA_INVALID_ARGUMENT of nothing.
pub const TA_MEAN: u32 = 2;
/// Variance with the divisor n.
pub const TA_VARIANCE: u32 = 3;
/// Variance with the divisor n - 1.
pub const TA_SAMPLE_VARIANCE: u32 = 4;
/// The smallest element.
pub const TA_MIN: u32 = 5;
/// The largest element.
pub const TA_MAX: u32 = 6;
/// Index of the smallest element.
pub const TA_ARGMIN: u32 = 7;
/// Index of the largest element.
pub const TA_ARGMAX: u32 = 8;
/// Sum of magnitudes.
pub const TA_NORM_1: u32 = 9;
/// Euclidean norm.
pub const TA_NORM_2: u32 = 10;
/// Largest magnitude.
pub const TA_NORM_MAX: u32 = 11;
/// log of the sum of exponentials.
pub const TA_LOG_SUM_EXP: u32 = 12;

/// Name of the instruction set that the mathematics runs on here: `avx512`, `avx2` or `scalar`. Chosen once; the variable
/// TENSORATOM_ISA of the environment pins it.
#[unsafe(no_mangle)]
pub extern "C" fn ta_isa(out: *mut c_char, capacity: u64, length: *mut u64, error: *mut ta_error) -> i32 {
    answer(error, (out, capacity, length), || Ok(kernels::isa().name()))
}

/// A type by its number.
#[inline(always)]
pub(crate) fn dtype(number: u32) -> Outcome<DType> {
    u8::try_from(number).ok().and_then(DType::from_number).ok_or_else(|| unknown("dtype", number))
}

/// A metric by its number.
#[inline(always)]
pub(crate) fn metric(number: u32) -> Outcome<Metric> {
    u8::try_from(number).ok().and_then(Metric::from_number).ok_or_else(|| unknown("metric", number))
}

#[cold]
fn unknown(what: &str, number: u32) -> Failure {
    Failure::argument(format!("no {what} has the number {number}"))
}

/// Bytes of `dim` elements of a type that has numbers.
#[inline(always)]
fn width(dtype: DType, dim: u64) -> Outcome<u64> {
    let width = Rows::width_bytes(dtype, size(dim)?)? as u64;
    if width <= PAYLOAD_BYTES_MAX { Ok(width) } else { Err(too_long(dtype, dim)) }
}

/// Rows over memory of the caller; `stride` 0 means without gaps.
pub(crate) fn rows<'a>(data: *const c_void, kind: u32, count: u64, dim: u64, stride: u64) -> Outcome<Rows<'a>> {
    let dtype = dtype(kind)?;
    let width = width(dtype, dim)?;
    let stride = if stride == 0 { width } else { stride };
    let len = match count.checked_sub(1) {
        None => Some(0),
        Some(last) => last.checked_mul(stride).and_then(|start| start.checked_add(width)),
    };
    let len = len.ok_or_else(|| Failure::argument("rows and stride are beyond the address space"))?;
    Ok(Rows::strided(dtype, size(count)?, size(dim)?, size(stride)?, bytes(data, len)?)?)
}

#[cold]
fn too_long(dtype: DType, dim: u64) -> Failure {
    Failure::of(engine::ErrorKind::InvalidShape, format!("{dim} {dtype} are larger than a payload may be"))
}

/// Where rows lie, for [`apart`].
pub(crate) fn extent(rows: &Rows<'_>) -> (usize, u64) {
    match rows.rows() {
        0 => (0, 0),
        last => {
            let (first, end) = (rows.row_bytes(0), rows.row_bytes(last - 1));
            (first.as_ptr().addr(), (end.as_ptr().addr() + end.len() - first.as_ptr().addr()) as u64)
        }
    }
}

/// What `of` makes of the distance of two vectors.
#[inline(always)]
fn pair(
    metric: Outcome<Metric>,
    (a, b): (*const c_void, *const c_void),
    (dtype, count): (u32, u64),
    out: *mut f64,
    of: impl FnOnce(f64) -> f64,
) -> Outcome {
    // As `rows`, but for checks that are the same for both: a short distance takes no longer than they do.
    let (place, out, dtype) = (span(out, 1), One::at(out)?, self::dtype(dtype)?);
    let (width, dim) = (width(dtype, count)?, size(count)?);
    let vector = |at| -> Outcome<Rows<'_>> { Ok(Rows::new(dtype, 1, dim, bytes(at, width)?)?) };
    let (rows_a, rows_b) = (vector(a)?, vector(b)?);
    apart(&[place], &[(a.addr(), width), (b.addr(), width)])?;
    out.set(of(kernels::distance(metric?, rows_a, rows_b)?))
}

/// Distance of two vectors of one type. `a` and `b` may lie anywhere and be the same.
#[unsafe(no_mangle)]
pub extern "C" fn ta_distance(
    metric: u32,
    a: *const c_void,
    b: *const c_void,
    dtype: u32,
    count: u64,
    out: *mut f64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || pair(self::metric(metric), (a, b), (dtype, count), out, |distance| distance))
}

/// Inner product: minus the distance TA_DOT.
#[unsafe(no_mangle)]
pub extern "C" fn ta_dot(
    a: *const c_void,
    b: *const c_void,
    dtype: u32,
    count: u64,
    out: *mut f64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || pair(Ok(Metric::Dot), (a, b), (dtype, count), out, |distance| -distance))
}

/// Cosine similarity: 1 - the distance TA_COSINE.
#[unsafe(no_mangle)]
pub extern "C" fn ta_cosine_similarity(
    a: *const c_void,
    b: *const c_void,
    dtype: u32,
    count: u64,
    out: *mut f64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || pair(Ok(Metric::Cosine), (a, b), (dtype, count), out, |distance| 1.0 - distance))
}

/// Distances of `query_rows` queries to `data_rows` vectors, `out[query * data_rows + row]`. With one query this is one to
/// many. Strides are bytes from row to row, 0 for none between them. `out_count` must be query_rows * data_rows.
#[unsafe(no_mangle)]
pub extern "C" fn ta_cdist(
    metric: u32,
    dtype: u32,
    dim: u64,
    queries: *const c_void,
    query_rows: u64,
    query_stride: u64,
    data: *const c_void,
    data_rows: u64,
    data_stride: u64,
    out: *mut f64,
    out_count: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let queries = rows(queries, dtype, query_rows, dim, query_stride)?;
        let data = rows(data, dtype, data_rows, dim, data_stride)?;
        let target = output(out, out_count)?;
        apart(&[span(out, out_count)], &[extent(&queries), extent(&data)])?;
        Ok(kernels::many_to_many(self::metric(metric)?, queries, data, target)?)
    })
}

/// Indices of the `k` smallest distances, nearest first, equal ones by index. NaN is last.
#[unsafe(no_mangle)]
pub extern "C" fn ta_top_k(
    distances: *const f64,
    count: u64,
    k: u64,
    out: *mut u64,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let values = input(distances, count)?;
        apart(&[span(out, capacity), span(length, 1)], &[span(distances, count)])?;
        let out = Out::sized(out, capacity, length)?;
        let nearest = kernels::top_k(values, size(k.min(count))?)?;
        out.fill(&nearest.into_iter().map(|index| index as u64).collect::<Vec<_>>())
    })
}

/// One number of a vector: TA_SUM .. TA_LOG_SUM_EXP.
#[unsafe(no_mangle)]
pub extern "C" fn ta_reduce(
    reduction: u32,
    a: *const c_void,
    dtype: u32,
    count: u64,
    out: *mut f64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (place, to) = (span(out, 1), One::at(out)?);
        let row = rows(a, dtype, 1, count, 0)?;
        apart(&[place], &[extent(&row)])?;
        let reduction = u8::try_from(reduction).ok().and_then(Reduction::from_number);
        let reduction = reduction.ok_or_else(|| Failure::argument("no reduction has this number"))?;
        to.set(kernels::reduce(reduction, row)?)
    })
}

/// Mean of rows, weighted when `weights` is not NULL (then one for each row). `out` takes `dim` numbers.
#[unsafe(no_mangle)]
pub extern "C" fn ta_centroid(
    dtype: u32,
    dim: u64,
    data: *const c_void,
    rows: u64,
    stride: u64,
    weights: *const f64,
    out: *mut f64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let matrix = self::rows(data, dtype, rows, dim, stride)?;
        let weights = if weights.is_null() { None } else { Some(input(weights, rows)?) };
        apart(&[span(out, dim)], &[extent(&matrix), weights.map_or((0, 0), |list| span(list.as_ptr(), rows))])?;
        let target = output(out, dim)?;
        let mut mean = zeroed(size(dim)?)?;
        kernels::centroid(matrix, weights, &mut mean)?;
        target.copy_from_slice(&mean);
        Ok(())
    })
}

/// Runs a body with the element type of a number, of those listed; `$else` says of any other what is not done with it.
macro_rules! with_element {
    ($dtype:expr, $T:ident of [$($variant:ident $type:ty),*], else $else:literal => $body:expr) => {
        match $crate::math::dtype($dtype)? {
            $(engine::DType::$variant => {
                type $T = $type;
                $body
            })*
            other => return Err($crate::wall::Failure::of(engine::ErrorKind::Unsupported, format!($else, other))),
        }
    };
}
pub(crate) use with_element;

/// Runs a body with the float type of a number.
macro_rules! with_float {
    ($dtype:expr, $T:ident => $body:expr) => {
        with_element!($dtype, $T of [F64 f64, F32 f32, F16 f16, Bf16 bf16],
            else "arithmetic takes f64, f32, f16 and bf16, not {}" => $body)
    };
}

/// Runs an operation of two vectors on memory of the caller.
macro_rules! binary {
    ($a:ident, $b:ident, $dtype:ident, $count:ident, $out:ident, $error:ident, |$x:ident, $y:ident, $z:ident| $call:expr) => {
        wall($error, || {
            with_float!($dtype, T => {
                let ($x, $y) = (input($a.cast::<T>(), $count)?, input($b.cast::<T>(), $count)?);
                let spans = [span($a.cast::<T>(), $count), span($b.cast::<T>(), $count)];
                apart(&[span($out.cast::<T>(), $count)], &spans)?;
                let $z = output($out.cast::<T>(), $count)?;
                Ok($call?)
            })
        })
    };
}

/// `out = a + b` of f64, f32, f16 or bf16, whose alignment the pointers need.
#[unsafe(no_mangle)]
pub extern "C" fn ta_add(
    a: *const c_void,
    b: *const c_void,
    dtype: u32,
    count: u64,
    out: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    binary!(a, b, dtype, count, out, error, |x, y, z| kernels::add(x, y, z))
}

/// `out = a - b`; as ta_add.
#[unsafe(no_mangle)]
pub extern "C" fn ta_sub(
    a: *const c_void,
    b: *const c_void,
    dtype: u32,
    count: u64,
    out: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    binary!(a, b, dtype, count, out, error, |x, y, z| kernels::sub(x, y, z))
}

/// `out = a + t * (b - a)`; as ta_add.
#[unsafe(no_mangle)]
pub extern "C" fn ta_lerp(
    a: *const c_void,
    b: *const c_void,
    t: f64,
    dtype: u32,
    count: u64,
    out: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    binary!(a, b, dtype, count, out, error, |x, y, z| kernels::lerp(x, y, t, z))
}

/// `out = a * b + c` with one rounding; as ta_add.
#[unsafe(no_mangle)]
pub extern "C" fn ta_fma(
    a: *const c_void,
    b: *const c_void,
    c: *const c_void,
    dtype: u32,
    count: u64,
    out: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        with_float!(dtype, T => {
            let [x, y, z] = [a, b, c].map(|pointer| pointer.cast::<T>());
            let to = out.cast::<T>();
            apart(&[span(to, count)], &[span(x, count), span(y, count), span(z, count)])?;
            Ok(kernels::fma(input(x, count)?, input(y, count)?, input(z, count)?, output(to, count)?)?)
        })
    })
}

/// `out = a * factor`; as ta_add.
#[unsafe(no_mangle)]
pub extern "C" fn ta_scale(
    a: *const c_void,
    factor: f64,
    dtype: u32,
    count: u64,
    out: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    binary!(a, a, dtype, count, out, error, |x, _y, z| kernels::scale(x, factor, z))
}

/// `out = a / |a|`; as ta_add. TA_INVALID_ARGUMENT where the engine has no answer.
#[unsafe(no_mangle)]
pub extern "C" fn ta_normalize(
    a: *const c_void,
    dtype: u32,
    count: u64,
    out: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    binary!(a, a, dtype, count, out, error, |x, _y, z| kernels::normalize(x, z))
}

/// `out = exp(a) / sum(exp(a))`; as ta_add.
#[unsafe(no_mangle)]
pub extern "C" fn ta_softmax(a: *const c_void, dtype: u32, count: u64, out: *mut c_void, error: *mut ta_error) -> i32 {
    binary!(a, a, dtype, count, out, error, |x, _y, z| kernels::softmax(x, z))
}

#[cfg(test)]
mod tests {
    use super::*;

    // A number that means another reduction in C than in the engine is a wrong answer with the status of a right one.
    #[test]
    fn numbers_of_reductions_and_metrics_are_those_of_the_engine() {
        let header = include_str!("../include/tensoratom.h");
        let has = |name: &str, number: u8| header.contains(&format!("#define TA_{} {number}\n", name.to_uppercase()));
        assert!(Reduction::ALL.iter().all(|reduction| has(reduction.name(), reduction.number())));
        assert!(Metric::ALL.iter().all(|metric| has(metric.name(), metric.number())));
        assert!(DType::ALL.iter().all(|dtype| has(dtype.name(), dtype.number())));
    }
}
