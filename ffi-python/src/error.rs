//! Errors of the engine as Python exceptions: one class per kind, made by `tensoratom._errors`.

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use tensoratom::Error;

use crate::python;

/// Turns an engine's result into Python's.
pub(crate) trait Raise<T> {
    /// The error as the exception class of its kind.
    fn raise(self) -> PyResult<T>;
}

impl<T> Raise<T> for tensoratom::Result<T> {
    #[inline]
    fn raise(self) -> PyResult<T> {
        self.map_err(exception)
    }
}

/// The exception of an error. Whatever goes wrong while it is made is raised instead.
#[cold]
pub(crate) fn exception(error: Error) -> PyErr {
    Python::attach(|py| {
        let fields = (
            error.kind().name(),
            error.to_string(),
            error.key_text(),
            error.segment_id(),
            error.byte_offset(),
            error.path().map(|path| path.to_string_lossy().into_owned()),
            error.advice(),
            error.os_code(),
        );
        make(py, fields)
    })
}

/// The exception of a kind that no call of the engine met.
#[cold]
pub(crate) fn of_kind(kind: &str, what: &str) -> PyErr {
    Python::attach(|py| make(py, (kind, what)))
}

fn make<'py>(py: Python<'py>, fields: impl PyCallArgs<'py>) -> PyErr {
    let made = python(py, "tensoratom._errors", "make").and_then(|make| make.call1(fields));
    made.map_or_else(|failure| failure, PyErr::from_value)
}
