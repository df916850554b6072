//! Vector mathematics on arrays: distances, top-k, quantisation, conversions.

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use tensoratom::kernels::{self, Metric, Rows, convert, quantize};
use tensoratom::{DType, Encoding};

use crate::buffer::{Input, borrowed_row, owned};
use crate::error::Raise;
use crate::{dtype, python};

/// Pairs of fewer bytes are compared sooner than the interpreter is let go and taken again.
const DETACH_BYTES: usize = 1 << 18;

/// Distance of two vectors, without a detour where both are plain contiguous arrays.
#[inline]
fn distance(metric: Metric, a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let (Some(x), Some(y)) = (borrowed_row(a), borrowed_row(b)) {
        return measure(a.py(), metric, x, y);
    }
    let (a, b) = (Input::new(a, None)?, Input::new(b, None)?);
    if a.shape.len() > 1 || b.shape.len() > 1 {
        return Err(tensoratom::Error::invalid_argument("two vectors expected; `cdist` compares matrices")).raise();
    }
    measure(a.py(), metric, a.rows()?, b.rows()?)
}

#[inline]
fn measure(py: Python<'_>, metric: Metric, a: Rows<'_>, b: Rows<'_>) -> PyResult<f64> {
    if a.row_bytes(0).len() < DETACH_BYTES {
        kernels::distance(metric, a, b).raise()
    } else {
        py.detach(|| kernels::distance(metric, a, b)).raise()
    }
}

macro_rules! distances {
    ($($(#[doc = $doc:literal])+ $name:ident = $metric:ident, |$x:ident| $value:expr;)*) => {
        $(
            $(#[doc = $doc])+
            #[pyfunction]
            pub(crate) fn $name(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<f64> {
                let $x = distance(Metric::$metric, a, b)?;
                Ok($value)
            }
        )*
    };
}

distances! {
    /// Inner product of two vectors: the sum of products. (As a metric, `dot` is minus that.)
    dot = Dot, |x| 0.0 - x;
    /// Cosine distance of two vectors, 1 - cosine similarity, in [0, 2], as in SciPy.
    cosine = Cosine, |x| x;
    /// Squared Euclidean distance of two vectors.
    sqeuclidean = SqEuclidean, |x| x;
    /// Euclidean distance of two vectors.
    euclidean = Euclidean, |x| x;
    /// Number of elements that differ. SciPy divides it by the length.
    hamming = Hamming, |x| x;
    /// Jaccard distance over the non-zero elements, as SciPy's for booleans.
    jaccard = Jaccard, |x| x;
}

/// Distances of each row of `a` to each row of `b`, as a float64 matrix. Both vectors of one type, or `a` float32 and `b`
/// float16, bf16 or int8.
#[pyfunction]
#[pyo3(signature = (a, b, metric = "euclidean"))]
pub(crate) fn cdist<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    metric: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let metric: Metric = metric.parse().raise()?;
    let (a, b) = (Input::new(a, None)?, Input::new(b, None)?);
    let (queries, data) = (a.rows()?, b.rows()?);
    let count = queries.rows().checked_mul(data.rows()).filter(|&count| count <= isize::MAX as usize / 8);
    let mut out = Vec::new();
    let reserved = count.filter(|&count| out.try_reserve_exact(count).is_ok());
    let no_memory = || {
        let what = format!("memory for {} x {} distances", queries.rows(), data.rows());
        tensoratom::Error::from_io(what, std::io::ErrorKind::OutOfMemory.into())
    };
    out.resize(reserved.ok_or_else(no_memory).raise()?, 0.0);
    py.detach(|| kernels::many_to_many(metric, queries, data, &mut out)).raise()?;
    owned(py, out, &[queries.rows(), data.rows()])
}

/// Indices of the k smallest values of each row, in order, ties by index, NaN last: what `cdist` returns, narrowed.
#[pyfunction]
pub(crate) fn topk_indices<'py>(py: Python<'py>, values: &Bound<'py, PyAny>, k: usize) -> PyResult<Bound<'py, PyAny>> {
    let input = Input::new(values, Some("f64"))?;
    let rows = input.rows()?;
    let pick = || -> tensoratom::Result<Vec<i64>> {
        let mut picked: Vec<i64> = Vec::new();
        for row in 0..rows.rows() {
            let (numbers, _) = rows.row_bytes(row).as_chunks::<8>();
            let numbers: Vec<f64> = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
            picked.extend(kernels::top_k(&numbers, k)?.into_iter().map(|index| index as i64));
        }
        Ok(picked)
    };
    let (picked, width) = (py.detach(pick).raise()?, k.min(rows.dim()));
    if input.shape.len() == 1 { owned(py, picked, &[width]) } else { owned(py, picked, &[rows.rows(), width]) }
}

/// Codes, scales and zero points of an array, in that order; `block` 0 is one scale for all.
#[pyfunction]
pub(crate) fn quantize_blocks<'py>(
    py: Python<'py>,
    array: &Bound<'py, PyAny>,
    affine: bool,
    block: u32,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let input = Input::new(array, Some("f32"))?;
    let (numbers, _) = input.bytes().as_chunks::<4>();
    let scheme = if affine { quantize::Scheme::Affine } else { quantize::Scheme::Symmetric };
    let quantize = || {
        let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        quantize::quantize_encoded(&numbers, scheme, block)
    };
    let (codes, encoding) = py.detach(quantize).raise()?;
    let Encoding::Quantized { scale, zero_point, .. } = encoding else {
        return Err(tensoratom::Error::invalid_argument("quantising gave no scales")).raise();
    };
    let shape: Vec<usize> = input.shape.iter().map(|&dim| dim as usize).collect();
    let lengths = ([scale.len()], [zero_point.len()]);
    Ok((owned(py, codes, &shape)?, owned(py, scale, &lengths.0)?, owned(py, zero_point, &lengths.1)?))
}

/// The float32 values of codes of any integer type.
#[pyfunction]
pub(crate) fn dequantize_blocks<'py>(
    py: Python<'py>,
    codes: &Bound<'py, PyAny>,
    scale: Vec<f32>,
    zero_point: Vec<i32>,
    block: u32,
) -> PyResult<Bound<'py, PyAny>> {
    let input = Input::new(codes, None)?;
    let (dtype, bytes) = (input.dtype, input.bytes());
    let encoding = Encoding::Quantized { block, scale, zero_point };
    let shape: Vec<usize> = input.shape.iter().map(|&dim| dim as usize).collect();
    // The codes exist, so their number fits; their values take four times an int8's memory.
    let mut values = vec![0.0_f32; shape.iter().product()];
    py.detach(|| quantize::dequantize_payload(dtype, &input.shape, &encoding, bytes, &mut values)).raise()?;
    owned(py, values, &shape)
}

/// Converts between float types, rounding half to even: into `target`, an array of the same number of elements.
#[pyfunction]
pub(crate) fn convert_into(
    py: Python<'_>,
    array: &Bound<'_, PyAny>,
    source: Option<&str>,
    to: &str,
    saturate: bool,
) -> PyResult<Py<PyAny>> {
    let input = Input::new(array, source)?;
    let to: DType = dtype::parse(to)?;
    let size = to.bits() as usize / 8;
    let count: usize = input.shape.iter().map(|&dim| dim as usize).product();
    let overflow = if saturate { convert::Overflow::Saturate } else { convert::Overflow::Infinity };
    let (source, from) = (input.bytes(), input.dtype);
    let bytes = count.checked_mul(size).unwrap_or(0);
    let mut target = vec![0_u8; bytes];
    py.detach(|| convert::convert(source, from, &mut target, to, overflow)).raise()?;
    let raw = owned(py, target, &[bytes])?;
    let shape = input.shape.clone();
    Ok(python(py, "tensoratom._dtypes", "reinterpret")?.call1((raw, to.name(), shape))?.unbind())
}

/// Name of the element type of an array, or None.
#[pyfunction]
pub(crate) fn dtype_of(array: &Bound<'_, PyAny>) -> Option<&'static str> {
    let array = array.cast::<PyUntypedArray>().ok()?;
    dtype::from_descriptor(&array.dtype()).map(DType::name)
}

/// Name of the instruction set the kernels use.
#[pyfunction]
pub(crate) fn instruction_set() -> String {
    format!("{:?}", kernels::isa()).to_lowercase()
}
