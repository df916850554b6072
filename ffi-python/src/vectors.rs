//! Vector sets and stored matrices: exact search.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tensoratom::kernels::Rows;
use tensoratom::{CompactOptions, DType, Matrix, Neighbor, SearchOptions, VectorSet};

use crate::buffer::{Input, array, owned};
use crate::error::Raise;
use crate::python;
use crate::run::long;

/// A named set of vectors of one dimension under integer ids. May be used from any thread.
#[pyclass(frozen, module = "tensoratom._native", name = "VectorSet")]
pub(crate) struct PyVectorSet {
    set: VectorSet,
}

/// A stored matrix that is searched where it lies. May be used from any thread.
#[pyclass(frozen, module = "tensoratom._native", name = "Matrix")]
pub(crate) struct PyMatrix {
    pub(crate) matrix: Matrix,
}

impl PyVectorSet {
    pub(crate) fn new(set: VectorSet) -> Self {
        PyVectorSet { set }
    }

    /// Gives ids and vectors to one of the ways a set takes them.
    fn write(
        &self,
        py: Python<'_>,
        ids: &Bound<'_, PyAny>,
        array: &Bound<'_, PyAny>,
        how: impl FnOnce(&VectorSet, &[i64], Rows<'_>) -> tensoratom::Result<()> + Send,
    ) -> PyResult<()> {
        let (ids, input) = (self::ids(ids)?, Input::new(array, Some(self.set.dtype().name()))?);
        let rows = input.rows()?;
        py.detach(|| how(&self.set, &ids, rows)).raise()
    }
}

/// Ids as any array-like of integers.
pub(crate) fn ids(value: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    let input = Input::new(&python(value.py(), "tensoratom._dtypes", "as_ids")?.call1((value,))?, None)?;
    let (numbers, _) = input.bytes().as_chunks::<8>();
    Ok(numbers.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
}

/// What narrows a search, besides the queries.
struct Wanted<'py> {
    k: usize,
    filter: Option<Bound<'py, PyAny>>,
    exclude: Option<Bound<'py, PyAny>>,
    metric: Option<String>,
    distance_max: Option<f64>,
    threads: usize,
}

/// Runs a search of either kind and lays its answer out as NumPy arrays, short answers filled up with -1 and infinity.
fn search<'py>(
    py: Python<'py>,
    queries: &Bound<'py, PyAny>,
    dtype: DType,
    wanted: &Wanted<'py>,
    run: impl FnOnce(Rows<'_>, usize, &SearchOptions<'_>) -> tensoratom::Result<Vec<Vec<Neighbor>>> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let query_dtype = if matches!(dtype, DType::F16 | DType::Bf16) { DType::F32 } else { dtype };
    let fits = |given| given == query_dtype || (given, dtype) == (DType::F32, DType::I8);
    let input = Input::fitting(queries, fits, query_dtype)?;
    let rows = input.rows()?;
    let mut options = SearchOptions::new().threads(wanted.threads);
    if let Some(filter) = &wanted.filter {
        options = options.allow(ids(filter)?);
    }
    if let Some(exclude) = &wanted.exclude {
        options = options.deny(ids(exclude)?);
    }
    if let Some(metric) = &wanted.metric {
        options = options.metric(metric.parse().raise()?);
    }
    if let Some(distance) = wanted.distance_max {
        options = options.distance_max(distance);
    }
    let k = wanted.k;
    let found = long(py, "search", None, |control| run(rows, k, &options.control(*control)))?;
    let width = found.iter().map(Vec::len).max().unwrap_or(0);
    let (mut ids, mut distances) = (Vec::new(), Vec::new());
    for near in &found {
        let gap = width.saturating_sub(near.len());
        ids.extend(near.iter().map(|one| one.id).chain(std::iter::repeat_n(-1, gap)));
        distances.extend(near.iter().map(|one| one.distance).chain(std::iter::repeat_n(f64::INFINITY, gap)));
    }
    let shape = if input.shape.len() == 1 { vec![width] } else { vec![found.len(), width] };
    let answer = (owned(py, ids, &shape)?, owned(py, distances, &shape)?);
    python(py, "tensoratom._search", "Neighbors")?.call1(answer)
}

#[pymethods]
impl PyVectorSet {
    /// Name of the set.
    #[getter]
    fn name(&self) -> &str {
        self.set.name()
    }

    /// Elements per vector.
    #[getter]
    fn dim(&self) -> usize {
        self.set.dim()
    }

    /// Name of the element type.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.set.dtype().name()
    }

    /// Name of the metric searches use unless told otherwise.
    #[getter]
    fn metric(&self) -> &'static str {
        self.set.metric().name()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(py.detach(|| self.set.len()).raise()? as usize)
    }

    fn __contains__(&self, py: Python<'_>, id: i64) -> PyResult<bool> {
        py.detach(|| self.set.contains(id)).raise()
    }

    /// Adds vectors durably, one row per id; a new id each, else AlreadyExistsError. One call makes one part: add many.
    fn add(&self, py: Python<'_>, ids: Bound<'_, PyAny>, array: Bound<'_, PyAny>) -> PyResult<()> {
        self.write(py, &ids, &array, VectorSet::append)
    }

    /// Adds vectors durably, or replaces those of the same ids.
    fn upsert(&self, py: Python<'_>, ids: Bound<'_, PyAny>, array: Bound<'_, PyAny>) -> PyResult<()> {
        self.write(py, &ids, &array, VectorSet::upsert)
    }

    /// Deletes vectors and returns how many there were.
    fn delete(&self, py: Python<'_>, ids: Bound<'_, PyAny>) -> PyResult<u64> {
        let ids = self::ids(&ids)?;
        py.detach(|| self.set.delete(&ids)).raise()
    }

    /// The vectors of some ids as a list of read-only arrays, None where there is none.
    fn get<'py>(&self, py: Python<'py>, ids: Bound<'py, PyAny>) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let ids = self::ids(&ids)?;
        let found = py.detach(|| self.set.get(&ids)).raise()?;
        let (dtype, shape) = (self.set.dtype(), [self.set.dim() as u64]);
        found.into_iter().map(|bytes| bytes.map(|bytes| array(py, bytes, dtype, &shape)).transpose()).collect()
    }

    /// The k nearest vectors, exactly: `(ids, distances)`, each of shape (k,) for one query and (n, k) for a matrix of n,
    /// nearest first, ties by id. Where there are fewer, as wide as the longest answer, filled up with -1 and infinity.
    /// `filter` are ids, or a mask whose index is the id; `exclude` likewise. Ctrl-C stops it.
    #[pyo3(signature = (queries, k = 10, *, filter = None, exclude = None, metric = None, distance_max = None, threads = 0))]
    #[expect(clippy::too_many_arguments, reason = "options are keywords in Python")]
    fn search<'py>(
        &self,
        py: Python<'py>,
        queries: Bound<'py, PyAny>,
        k: usize,
        filter: Option<Bound<'py, PyAny>>,
        exclude: Option<Bound<'py, PyAny>>,
        metric: Option<String>,
        distance_max: Option<f64>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Wanted { k, filter, exclude, metric, distance_max, threads };
        search(py, &queries, self.set.dtype(), &wanted, |rows, k, options| self.set.search(rows, k, options))
    }

    /// Puts small parts together and drops deleted rows. Returns how many parts were replaced. Ctrl-C stops it.
    fn compact(&self, py: Python<'_>) -> PyResult<u64> {
        long(py, "compact", None, |control| self.set.compact(&CompactOptions::new(), control))
    }

    /// Counts and sums as a dict.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = py.detach(|| self.set.info()).raise()?;
        let dict = PyDict::new(py);
        for (name, value) in [
            ("vectors", info.vectors),
            ("parts", info.parts),
            ("deleted_rows", info.deleted_rows),
            ("vector_bytes", info.vector_bytes),
            ("id_bytes", info.id_bytes),
            ("companion_bytes", info.companion_bytes),
            ("companion_rows", info.companion_rows),
        ] {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        let set = &self.set;
        format!("<tensoratom vectors '{}': {} x {}, {}>", set.name(), set.dim(), set.dtype(), set.metric())
    }
}

#[pymethods]
impl PyMatrix {
    fn __len__(&self) -> usize {
        self.matrix.len() as usize
    }

    /// Elements per row.
    #[getter]
    fn dim(&self) -> usize {
        self.matrix.dim()
    }

    /// The k nearest rows, as `VectorSet.search` returns them; ids are row numbers.
    #[pyo3(signature = (queries, k = 10, *, filter = None, exclude = None, metric = None, distance_max = None, threads = 0))]
    #[expect(clippy::too_many_arguments, reason = "options are keywords in Python")]
    fn search<'py>(
        &self,
        py: Python<'py>,
        queries: Bound<'py, PyAny>,
        k: usize,
        filter: Option<Bound<'py, PyAny>>,
        exclude: Option<Bound<'py, PyAny>>,
        metric: Option<String>,
        distance_max: Option<f64>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = Wanted { k, filter, exclude, metric, distance_max, threads };
        search(py, &queries, self.matrix.dtype(), &wanted, |rows, k, options| self.matrix.search(rows, k, options))
    }

    fn __repr__(&self) -> String {
        format!("<tensoratom matrix '{}': {} x {}>", self.matrix.info().key, self.matrix.len(), self.matrix.dim())
    }
}
