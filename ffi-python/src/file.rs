//! The safetensors format: files and bytes from arrays, and what bytes hold.

use std::collections::HashMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize, serialize_to_file};
use tensoratom::{DType, Error};

use crate::buffer::Input;
use crate::error::Raise;

/// Writes named arrays into a safetensors file, byte for byte as the reference writes them.
#[pyfunction]
#[pyo3(signature = (tensors, path, metadata = None))]
pub(crate) fn write_safetensors(
    py: Python<'_>,
    tensors: Vec<(String, Bound<'_, PyAny>)>,
    path: PathBuf,
    metadata: Option<HashMap<String, String>>,
) -> PyResult<()> {
    let inputs = inputs(&tensors)?;
    let views = views(&inputs)?;
    py.detach(|| serialize_to_file(views, metadata, &path).map_err(failed)).map_err(|e| e.with_path(&path)).raise()
}

/// The bytes of a safetensors file of named arrays, as the reference makes them.
#[pyfunction]
#[pyo3(signature = (tensors, metadata = None))]
pub(crate) fn serialize_safetensors<'py>(
    py: Python<'py>,
    tensors: Vec<(String, Bound<'py, PyAny>)>,
    metadata: Option<HashMap<String, String>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let inputs = inputs(&tensors)?;
    let views = views(&inputs)?;
    let bytes = py.detach(|| serialize(views, metadata).map_err(failed)).raise()?;
    Ok(PyBytes::new(py, &bytes))
}

/// Name, type, shape, start and end of each tensor in the bytes of a safetensors file, by their place. Everything the
/// header says was checked.
#[pyfunction]
pub(crate) fn safetensors_layout(data: &[u8]) -> PyResult<Vec<Place>> {
    let refuse = |what: String| Error::invalid_argument(format!("these bytes are no safetensors file: {what}"));
    let (header_len, header) = SafeTensors::read_metadata(data).map_err(|e| refuse(e.to_string())).raise()?;
    let start = size_of::<u64>() + header_len;
    let mut places = Vec::new();
    for (name, info) in header.tensors() {
        let dtype = DType::ALL.iter().find(|&&dtype| code(dtype).is_ok_and(|code| code == info.dtype));
        let dtype = dtype.ok_or_else(|| refuse(format!("tensor '{name}' has type {:?}", info.dtype))).raise()?;
        let (from, to) = info.data_offsets;
        places.push((name, dtype.name(), info.shape.clone(), start + from, start + to));
    }
    places.sort_by_key(|place| (place.3, place.4));
    Ok(places)
}

type Place = (String, &'static str, Vec<usize>, usize, usize);

fn failed(error: safetensors::SafeTensorError) -> Error {
    match error {
        safetensors::SafeTensorError::IoError(source) => Error::from_io("writing a safetensors file", source),
        other => Error::invalid_argument(format!("these tensors do not make a safetensors file: {other}")),
    }
}

fn inputs<'a, 'py>(tensors: &'a [(String, Bound<'py, PyAny>)]) -> PyResult<Vec<(&'a str, Input<'py>)>> {
    tensors.iter().map(|(name, array)| Ok((name.as_str(), Input::new(array, None)?))).collect()
}

fn views<'a>(inputs: &'a [(&'a str, Input<'_>)]) -> PyResult<Vec<(&'a str, TensorView<'a>)>> {
    let view = |(name, input): &'a (&'a str, Input<'_>)| {
        let shape = input.shape.iter().map(|&dim| dim as usize).collect();
        let made = TensorView::new(code(input.dtype).raise()?, shape, input.bytes()).map_err(failed).raise()?;
        Ok((*name, made))
    };
    inputs.iter().map(view).collect()
}

/// The name safetensors has for a type.
fn code(dtype: DType) -> tensoratom::Result<Dtype> {
    Ok(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::Bf16 => Dtype::BF16,
        DType::F8E4M3 => Dtype::F8_E4M3,
        DType::F8E5M2 => Dtype::F8_E5M2,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
        other => return Err(Error::invalid_argument(format!("safetensors has no type for {other}"))),
    })
}
