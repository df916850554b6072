//! Element types as NumPy knows them, both ways.

use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tensoratom::DType;

use crate::error::Raise;
use crate::python;

/// NumPy's descriptors by number of the type.
static DESCRIPTORS: PyOnceLock<Vec<Option<Py<PyArrayDescr>>>> = PyOnceLock::new();

/// The NumPy type of stored elements: those NumPy lacks as `ml_dtypes` has them, or as unsigned integers of their size.
pub(crate) fn descriptor(py: Python<'_>, dtype: DType) -> PyResult<Bound<'_, PyArrayDescr>> {
    let all = DESCRIPTORS.get_or_try_init(py, || {
        let of = python(py, "tensoratom._dtypes", "descriptor")?;
        let count = DType::ALL.iter().map(|dtype| usize::from(dtype.number())).max().unwrap_or(0);
        let one = |number: usize| {
            let Some(dtype) = u8::try_from(number).ok().and_then(DType::from_number) else { return Ok(None) };
            let found = of.call1((dtype.name(),))?.cast_into::<PyArrayDescr>()?;
            Ok(Some(found.unbind()))
        };
        (0..=count).map(one).collect::<PyResult<Vec<_>>>()
    })?;
    match all.get(usize::from(dtype.number())).and_then(Option::as_ref) {
        Some(found) => Ok(found.bind(py).clone()),
        None => Err(tensoratom::Error::invalid_argument(format!("NumPy has nothing for {dtype}"))).raise(),
    }
}

/// The element type of a native NumPy type, by its type number; `None` for what needs a second look.
pub(crate) fn from_descriptor(descriptor: &Bound<'_, PyArrayDescr>) -> Option<DType> {
    if descriptor.is_native_byteorder() == Some(false) {
        return None;
    }
    // Type numbers of NumPy; `long` and `long long` have 8 bytes here and are told apart by their size elsewhere.
    Some(match (descriptor.num(), descriptor.itemsize()) {
        (0, 1) => DType::Bool,
        (1, 1) => DType::I8,
        (2, 1) => DType::U8,
        (3, 2) => DType::I16,
        (4, 2) => DType::U16,
        (5 | 7, 4) => DType::I32,
        (6 | 8, 4) => DType::U32,
        (7 | 9, 8) => DType::I64,
        (8 | 10, 8) => DType::U64,
        (11, 4) => DType::F32,
        (12, 8) => DType::F64,
        (23, 2) => DType::F16,
        _ => return None,
    })
}

/// An element type by any of its names, NumPy's codes (`f4`) included.
pub(crate) fn parse(name: &str) -> PyResult<DType> {
    if let Ok(dtype) = name.parse() {
        return Ok(dtype);
    }
    let known: String =
        Python::attach(|py| python(py, "tensoratom._dtypes", "canonical")?.call1((name,))?.extract::<String>())?;
    known.parse().raise()
}
