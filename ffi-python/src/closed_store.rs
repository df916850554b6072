//! What is done with a store that nobody has open: repair, and giving it another cold directory.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tensoratom::RepairOptions;

use crate::run::long;
use crate::store::facts_dict;

/// Gives a store that nobody has open a cold directory, or moves the one it has: copied, synced, read back, switched over, then
/// deleted. A relative `directory` starts in the store. Raises BusyError while anybody has it open. Returns a dict of
/// segments_copied, bytes_copied and left_behind, the old directory where it could not be emptied. Ctrl-C stops it, and the
/// store goes on with the directory it had.
#[pyfunction]
#[pyo3(signature = (path, directory, *, progress = None))]
pub(crate) fn set_cold_directory<'py>(
    py: Python<'py>,
    path: PathBuf,
    directory: PathBuf,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let set = |control: &tensoratom::Control<'_>| tensoratom::set_cold_directory(&path, &directory, control);
    let report = long(py, "set cold directory", progress.as_ref(), set)?;
    let dict = PyDict::new(py);
    dict.set_item("segments_copied", report.segments_copied)?;
    dict.set_item("bytes_copied", report.bytes_copied)?;
    dict.set_item("left_behind", report.left_behind)?;
    Ok(dict)
}

/// Repairs a store that nobody has open; `rebuild_catalog` makes its catalog anew from the segments, `without_cold` although
/// the cold directory is away. Returns a dict of what was done; `commits_missing` lists the first and last of each gap, and
/// `findings` are sentences about what could not be read.
#[pyfunction]
#[pyo3(signature = (path, *, rebuild_catalog = false, without_cold = false, progress = None))]
pub(crate) fn repair<'py>(
    py: Python<'py>,
    path: PathBuf,
    rebuild_catalog: bool,
    without_cold: bool,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let options = RepairOptions::new().rebuild_catalog(rebuild_catalog).without_cold(without_cold);
    let report = long(py, "repair", progress.as_ref(), |control| tensoratom::repair(&path, &options, control))?;
    let dict = facts_dict(py, &report.facts())?;
    // What is a flag, and which commits are missing, is said better than by numbers.
    dict.set_item("identity_rewritten", report.identity_rewritten)?;
    dict.set_item("catalog_rebuilt", report.catalog_rebuilt)?;
    dict.set_item("commits_missing", report.commits_missing)?;
    dict.set_item("findings", report.findings)?;
    Ok(dict)
}
