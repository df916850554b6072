//! What is put: arrays of any kind, quantised ones too, with metadata and conditions.

use pyo3::prelude::*;
use tensoratom::{Encoding, Expect, PutOptions, Tensor};

use crate::buffer::Input;
use crate::error::Raise;
use crate::key::KeyArg;
use crate::python;

/// A value on its way into a store.
pub(crate) struct Item<'py> {
    input: Input<'py>,
    encoding: Encoding,
}

impl<'py> Item<'py> {
    /// An array-like, or what `tensoratom.quantize` returns.
    pub(crate) fn new(value: &Bound<'py, PyAny>, dtype: Option<&str>) -> PyResult<Self> {
        let quantized = python(value.py(), "tensoratom._math", "Quantized")?;
        if !value.get_type().is(&quantized) {
            return Ok(Item { input: Input::new(value, dtype)?, encoding: Encoding::Plain });
        }
        let encoding = Encoding::Quantized {
            block: value.getattr("block")?.extract()?,
            scale: value.getattr("scale")?.extract()?,
            zero_point: value.getattr("zero_point")?.extract()?,
        };
        Ok(Item { input: Input::new(&value.getattr("codes")?, None)?, encoding })
    }

    /// The tensor to store.
    pub(crate) fn tensor(&self) -> PyResult<Tensor<'_>> {
        Tensor::encoded(self.input.dtype, &self.input.shape, self.encoding.clone(), self.input.bytes()).raise()
    }
}

/// A value as JSON: metadata, a policy.
pub(crate) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<String> {
    python(value.py(), "json", "dumps")?.call1((value,))?.extract()
}

/// Options of a put.
pub(crate) fn options(
    metadata: Option<&Bound<'_, PyAny>>,
    if_version: Option<u64>,
    parents: Option<Vec<KeyArg>>,
) -> PyResult<PutOptions> {
    let mut options = PutOptions::new().expect(match if_version {
        None => Expect::Any,
        Some(0) => Expect::Absent,
        Some(lsn) => Expect::Version(lsn),
    });
    if let Some(metadata) = metadata {
        options = options.metadata(to_json(metadata)?);
    }
    if let Some(parents) = parents {
        options = options.parents(parents.iter().map(KeyArg::to_key));
    }
    Ok(options)
}
