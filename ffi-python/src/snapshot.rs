//! The store at one moment.

use pyo3::prelude::*;
use tensoratom::{AtomInfo, Control, ExportOptions, ListOptions, Snapshot};

use crate::atom::{PyAtom, PyAtomInfo};
use crate::error::Raise;
use crate::key::{KeyArg, to_python};
use crate::run::long;
use crate::store::export_report;

/// The store at one commit; does not change, whatever is committed. May be used from any thread.
#[pyclass(frozen, module = "tensoratom._native", name = "Snapshot")]
pub(crate) struct PySnapshot {
    pub(crate) snapshot: Snapshot,
}

#[pymethods]
impl PySnapshot {
    /// The newest commit this shows.
    #[getter]
    fn version(&self) -> u64 {
        self.snapshot.lsn()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: KeyArg) -> PyResult<Bound<'py, PyAny>> {
        let payload = py.detach(|| self.snapshot.get(key.borrow())).raise()?;
        PyAtom::array_of(py, &payload)
    }

    fn __contains__(&self, py: Python<'_>, key: KeyArg) -> PyResult<bool> {
        py.detach(|| self.snapshot.exists(key.borrow())).raise()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        py.detach(|| self.snapshot.iter(&ListOptions::new()).try_fold(0_usize, |n, atom| atom.map(|_| n + 1))).raise()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.keys(py, "")?.into_pyobject(py)?.call_method0("__iter__")
    }

    /// The keys in order: integers, then names by their bytes.
    #[pyo3(signature = (prefix = ""))]
    fn keys<'py>(&self, py: Python<'py>, prefix: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let atoms = py.detach(|| self.snapshot.list(&ListOptions::new().prefix(prefix))).raise()?;
        atoms.iter().map(|info| to_python(py, &info.key)).collect()
    }

    /// A handle on a key's atom. Raises NotFoundError, a KeyError.
    fn get<'py>(&self, py: Python<'py>, key: KeyArg) -> PyResult<Bound<'py, PyAny>> {
        let payload = py.detach(|| self.snapshot.get(key.borrow())).raise()?;
        PyAtom::wrap(py, payload)
    }

    /// Descriptors of the atoms whose names start with a prefix, in key order.
    #[pyo3(signature = (prefix = "", *, limit = None))]
    fn list(&self, py: Python<'_>, prefix: &str, limit: Option<usize>) -> PyResult<Vec<PyAtomInfo>> {
        list(py, &self.snapshot, prefix, limit)
    }

    /// Writes the atoms under a prefix, which is taken off, into a safetensors file. One that was imported comes out the
    /// same, bit for bit. Ctrl-C stops it and leaves no file.
    #[pyo3(signature = (prefix, path, *, progress = None))]
    fn export<'py>(
        &self,
        py: Python<'py>,
        prefix: &str,
        path: std::path::PathBuf,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = ExportOptions::new().prefix(prefix);
        let work = |control: &Control<'_>| self.snapshot.export_file(&path, &options, control);
        export_report(py, long(py, "export", progress.as_ref(), work)?)
    }

    fn __repr__(&self) -> String {
        format!("<tensoratom snapshot of commit {}>", self.snapshot.lsn())
    }
}

/// Descriptors of a snapshot.
pub(crate) fn list(
    py: Python<'_>,
    snapshot: &Snapshot,
    prefix: &str,
    limit: Option<usize>,
) -> PyResult<Vec<PyAtomInfo>> {
    let options = ListOptions::new().prefix(prefix).limit(limit.unwrap_or(usize::MAX));
    let atoms: Vec<AtomInfo> = py.detach(|| snapshot.list(&options)).raise()?;
    Ok(atoms.into_iter().map(PyAtomInfo::new).collect())
}
