//! Atoms and their descriptors.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tensoratom::{AtomInfo, Bytes, Encoding, Payload, kernels};

use crate::buffer::{array, owned};
use crate::error::Raise;
use crate::run::{LONG_BYTES, long};
use crate::{dlpack, key, python};

/// Descriptor of one version of an atom. Does not change; may be used from any thread.
#[pyclass(frozen, module = "tensoratom._native", name = "AtomInfo")]
pub(crate) struct PyAtomInfo {
    info: AtomInfo,
}

impl PyAtomInfo {
    pub(crate) fn new(info: AtomInfo) -> Self {
        PyAtomInfo { info }
    }
}

/// Getters that an atom and its descriptor share.
macro_rules! described {
    ($class:ty, |$this:ident| $info:expr, { $($rest:tt)* }) => {
        #[pymethods]
        impl $class {
            /// Key: a name or an integer.
            #[getter]
            fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                let $this = self;
                key::to_python(py, &$info.key)
            }

            /// Name of the element type: f64 f32 f16 bf16 f8e4m3 f8e5m2 i64 i32 i16 i8 u64 u32 u16 u8 bool b1 opaque.
            #[getter]
            fn dtype(&self) -> &'static str {
                let $this = self;
                $info.dtype.name()
            }

            /// Dimensions, outermost first.
            #[getter]
            fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
                let $this = self;
                pyo3::types::PyTuple::new(py, &$info.shape)
            }

            /// Length of the payload in bytes.
            #[getter]
            fn nbytes(&self) -> u64 {
                let $this = self;
                $info.bytes
            }

            /// Commit that made this version: what `if_version` compares.
            #[getter]
            fn version(&self) -> u64 {
                let $this = self;
                $info.lsn
            }

            /// Metadata, or None.
            #[getter]
            fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
                let $this = self;
                let loads = || python(py, "json", "loads");
                $info.metadata.as_deref().map(|text| loads()?.call1((text,))).transpose()
            }

            /// BLAKE3-256 of the payload, hexadecimal.
            #[getter]
            fn digest(&self) -> String {
                let $this = self;
                $info.digest.to_string()
            }

            /// Time of the commit in seconds since the Unix epoch.
            #[getter]
            fn created(&self) -> f64 {
                let $this = self;
                $info.created_us as f64 / 1e6
            }

            /// Where the payload lies: hot, warm, cold, or None when the catalog knows no copy.
            #[getter]
            fn tier(&self) -> Option<String> {
                let $this = self;
                $info.tier.map(|tier| format!("{tier:?}").to_lowercase())
            }

            /// How elements are to be understood beyond their type: a dict with `kind` plain, quantized or blocks.
            #[getter]
            fn encoding<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let $this = self;
                encoding(py, &$info.encoding)
            }

            $($rest)*
        }
    };
}

described!(PyAtomInfo, |this| this.info, {
    fn __repr__(&self) -> String {
        format!(
            "AtomInfo('{}', {}, {}, {} bytes)",
            self.info.key,
            self.info.dtype,
            self.info.shape_text(),
            self.info.bytes
        )
    }
});

fn encoding<'py>(py: Python<'py>, encoding: &Encoding) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    match encoding {
        Encoding::Quantized { block, scale, zero_point } => {
            dict.set_item("kind", "quantized")?;
            dict.set_item("block", block)?;
            dict.set_item("scale", owned(py, scale.clone(), &[scale.len()])?)?;
            dict.set_item("zero_point", owned(py, zero_point.clone(), &[zero_point.len()])?)?;
        }
        Encoding::Blocks { layout, elements, bytes } => {
            dict.set_item("kind", "blocks")?;
            dict.set_item("layout", layout)?;
            dict.set_item("elements", elements)?;
            dict.set_item("bytes", bytes)?;
        }
        _ => dict.set_item("kind", "plain")?,
    }
    Ok(dict)
}

/// A handle on one version's payload. Reads nothing until asked; valid after the key is deleted and the store closed. May
/// be used from any thread.
#[pyclass(frozen, subclass, module = "tensoratom._native", name = "AtomCore")]
pub(crate) struct PyAtom {
    payload: Payload,
}

impl PyAtom {
    /// The payload as an instance of `tensoratom.Atom`.
    pub(crate) fn wrap(py: Python<'_>, payload: Payload) -> PyResult<Bound<'_, PyAny>> {
        python(py, "tensoratom._atom", "Atom")?.call1((PyAtom { payload },))
    }

    /// The payload as an array.
    pub(crate) fn array_of<'py>(py: Python<'py>, payload: &Payload) -> PyResult<Bound<'py, PyAny>> {
        let bytes = read(py, payload, 0..payload.len())?;
        let info = payload.info();
        array(py, bytes, info.dtype, &info.shape)
    }
}

/// Whether reading a payload takes so long that Ctrl-C should stop it.
#[inline]
pub(crate) fn is_long(payload: &Payload) -> bool {
    payload.len() >= LONG_BYTES && !payload.is_ready()
}

/// A range of a payload, stopped by Ctrl-C where it takes long.
fn read(py: Python<'_>, payload: &Payload, range: Range<u64>) -> PyResult<Bytes> {
    if !is_long(payload) {
        return py.detach(|| payload.range(range)).raise();
    }
    long(py, "get", None, |control| payload.range_within(range, control))
}

described!(PyAtom, |this| this.payload.info(), {
    #[new]
    fn new(source: PyRef<'_, PyAtom>) -> Self {
        PyAtom { payload: source.payload.clone() }
    }

    /// The descriptor.
    #[getter]
    fn info(&self) -> PyAtomInfo {
        PyAtomInfo::new(self.payload.info().clone())
    }

    /// A read-only array on the stored bytes. Verifies what no read of this process touched before; copies nothing in
    /// mapped mode. Types NumPy lacks come as those of `ml_dtypes`, or as unsigned integers of their size without it;
    /// bits come packed, quantised elements as their codes. Ctrl-C stops the first read of 32 MiB or more.
    fn numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyAtom::array_of(py, &self.payload)
    }

    /// Rows start to stop of the first dimension as a read-only array. Only their chunks are read and verified.
    #[pyo3(signature = (start, stop))]
    fn rows<'py>(&self, py: Python<'py>, start: u64, stop: u64) -> PyResult<Bound<'py, PyAny>> {
        let range = self.payload.row_range(start..stop).raise()?;
        let bytes = read(py, &self.payload, range)?;
        let info = self.payload.info();
        let mut shape = info.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = stop.saturating_sub(start);
        }
        array(py, bytes, info.dtype, &shape)
    }

    /// The values as a new float32 array, whatever the type and the encoding.
    fn dequantize<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let info = self.payload.info();
        let bytes = read(py, &self.payload, 0..self.payload.len())?;
        let convert = || {
            let count = info.shape.iter().try_fold(1_usize, |n, &dim| n.checked_mul(usize::try_from(dim).ok()?));
            let count =
                count.ok_or_else(|| tensoratom::Error::invalid_argument("more elements than fit into memory"))?;
            let mut values = Vec::new();
            values.try_reserve_exact(count).map_err(|_| out_of_memory(count))?;
            values.resize(count, 0.0_f32);
            kernels::quantize::dequantize_payload(info.dtype, &info.shape, &info.encoding, &bytes, &mut values)?;
            Ok(values)
        };
        let values = py.detach(convert).raise()?;
        let shape: Vec<usize> = info.shape.iter().map(|&dim| dim as usize).collect();
        owned(py, values, &shape)
    }

    /// A DLPack capsule of version 1, read-only, in the true type. Consumers that cannot take such a one get a
    /// BufferError, because they could not know that writing is forbidden.
    #[pyo3(signature = (*, stream = None, max_version = None, dl_device = None, copy = None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let refuse = |what: &'static str| Err(pyo3::exceptions::PyBufferError::new_err(what));
        if stream.is_some() || dl_device.is_some_and(|device| device != (1, 0)) || copy == Some(true) {
            return refuse("stored tensors are given on the CPU, without a stream and without a copy");
        }
        if max_version.is_none_or(|(major, _)| major < 1) {
            return refuse(
                "stored tensors are read-only, which DLPack can say from version 1 on; copy the array instead",
            );
        }
        let bytes = read(py, &self.payload, 0..self.payload.len())?;
        let info = self.payload.info();
        dlpack::capsule(py, bytes, info.dtype, &info.shape)
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        (1, 0)
    }
});

fn out_of_memory(count: usize) -> tensoratom::Error {
    tensoratom::Error::from_io(format!("memory for {count} floats"), std::io::ErrorKind::OutOfMemory.into())
}
