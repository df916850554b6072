//! Writing safetensors files from arrays.

use std::collections::HashMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
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
    let inputs = tensors.iter().map(|(name, array)| Ok((name, Input::new(array, None)?)));
    let inputs = inputs.collect::<PyResult<Vec<_>>>()?;
    let failed = |error: safetensors::SafeTensorError| match error {
        safetensors::SafeTensorError::IoError(source) => Error::from_io("writing a safetensors file", source),
        other => Error::invalid_argument(format!("these tensors do not make a safetensors file: {other}")),
    };
    let mut views = Vec::with_capacity(inputs.len());
    for (name, input) in &inputs {
        let shape = input.shape.iter().map(|&dim| dim as usize).collect();
        let made = TensorView::new(code(input.dtype).raise()?, shape, input.bytes()).map_err(failed).raise()?;
        views.push((name.as_str(), made));
    }
    py.detach(|| serialize_to_file(views, metadata, &path).map_err(failed)).map_err(|e| e.with_path(&path)).raise()
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
