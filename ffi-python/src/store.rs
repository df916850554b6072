//! The open store.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tensoratom::kernels::Metric;
use tensoratom::{
    Control, DType, Durability, ExportOptions, ExportReport, GcOptions, ImportOptions, KeyRef, MoveOptions, Options,
    ReadMode, SqlValue, Store, Tier, TierPin, TierPlan, TierPolicy, VerifyOptions,
};

use crate::atom::{PyAtom, PyAtomInfo, is_long};
use crate::dtype;
use crate::error::{Raise, of_kind};
use crate::key::{KeyArg, existing, snapshot_at, to_python, wanted};
use crate::put::{Item, to_json};
use crate::python;
use crate::run::{LONG_BYTES, long};
use crate::snapshot::{self, PySnapshot};
use crate::txn::{PyTransaction, PyWriter};
use crate::vectors::{PyMatrix, PyVectorSet};

/// Most rows a query returns unless told otherwise.
const QUERY_ROWS: usize = 1_000_000;

fn tier_pin(prefix: KeyRef<'_>, exact: bool, namespace: Option<&str>) -> TierPin {
    let namespace = namespace.unwrap_or_default();
    match prefix {
        KeyRef::Name(prefix) if !exact => TierPin::prefix(namespace, prefix),
        key => TierPin::key(namespace, key),
    }
}

fn from_json<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    python(py, "json", "loads")?.call1((text,))
}

pub(crate) fn facts_dict<'py>(py: Python<'py>, facts: &[(&str, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    facts.iter().try_for_each(|(name, value)| dict.set_item(name, value))?;
    Ok(dict)
}

/// An open store. May be used from any thread; after `fork` a child opens its own.
#[pyclass(frozen, subclass, module = "tensoratom._native", name = "StoreCore")]
pub(crate) struct PyStore {
    open: RwLock<Option<Store>>,
    path: PathBuf,
    mode: &'static str,
}

impl PyStore {
    /// The engine's handle. Raises ClosedError after `close`.
    #[inline]
    fn store(&self) -> PyResult<Store> {
        match &*self.open.read().unwrap_or_else(PoisonError::into_inner) {
            Some(store) => Ok(store.clone()),
            None => Err(closed("the store was closed")),
        }
    }
}

/// The exception for what was closed.
pub(crate) fn closed(what: &str) -> PyErr {
    of_kind("Closed", what)
}

/// What an export did, as a dict.
pub(crate) fn export_report(py: Python<'_>, report: ExportReport) -> PyResult<Bound<'_, PyAny>> {
    let dict = PyDict::new(py);
    dict.set_item("atoms", report.atoms)?;
    dict.set_item("file_bytes", report.file_bytes)?;
    dict.set_item("header_kept", report.header_kept)?;
    Ok(dict.into_any())
}

fn choose<T: Copy>(what: &str, name: &str, choices: &[(&str, T)]) -> PyResult<T> {
    let found = choices.iter().find(|(choice, _)| *choice == name).map(|&(_, value)| value);
    let known: Vec<&str> = choices.iter().map(|&(choice, _)| choice).collect();
    let error = || tensoratom::Error::invalid_argument(format!("{what} '{name}' is none of {}", known.join(", ")));
    found.ok_or_else(error).raise()
}

#[pymethods]
impl PyStore {
    #[new]
    #[pyo3(signature = (path, mode = "rw", *, create = true, durability = "full", read_mode = "mapped",
        segment_bytes = None, chunk_bytes = None, cache_bytes = None, threads = 0, lock_timeout = None,
        cold_directory = None, hot_bytes = None))]
    #[expect(clippy::too_many_arguments, reason = "options are keywords in Python")]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        mode: &str,
        create: bool,
        durability: &str,
        read_mode: &str,
        segment_bytes: Option<u64>,
        chunk_bytes: Option<u32>,
        cache_bytes: Option<u64>,
        threads: usize,
        lock_timeout: Option<f64>,
        cold_directory: Option<PathBuf>,
        hot_bytes: Option<u64>,
    ) -> PyResult<Self> {
        let mode = choose("mode", mode, &[("r", "r"), ("rw", "rw"), ("x", "x")])?;
        let mut options = Options::new()
            .durability(choose(
                "durability",
                durability,
                &[("full", Durability::Full), ("process", Durability::Process)],
            )?)
            .read_mode(choose(
                "read_mode",
                read_mode,
                &[("mapped", ReadMode::Mapped), ("positioned", ReadMode::Positioned)],
            )?)
            .read_only(mode == "r")
            .threads(threads);
        if let Some(bytes) = segment_bytes {
            options = options.segment_bytes(bytes);
        }
        if let Some(bytes) = chunk_bytes {
            options = options.chunk_bytes(bytes);
        }
        if let Some(bytes) = cache_bytes {
            options = options.cache_bytes(bytes);
        }
        if let Some(seconds) = lock_timeout {
            let wrong = |_| tensoratom::Error::invalid_argument(format!("a lock timeout of {seconds} seconds"));
            options = options.lock_timeout(Duration::try_from_secs_f64(seconds).map_err(wrong).raise()?);
        }
        if let Some(directory) = cold_directory {
            options = options.cold_directory(std::path::absolute(&directory).unwrap_or(directory));
        }
        if let Some(bytes) = hot_bytes {
            options = options.hot_bytes(bytes);
        }
        let path = std::path::absolute(&path).unwrap_or(path);
        let open = || match (mode, create) {
            ("x", _) => Store::create(&path, &options),
            ("rw", true) => Store::open_or_create(&path, &options),
            _ => Store::open(&path, &options),
        };
        let store = py.detach(open).raise()?;
        Ok(PyStore { open: RwLock::new(Some(store)), path, mode })
    }

    /// The directory.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// How it was opened: r, rw or x.
    #[getter]
    fn mode(&self) -> &'static str {
        self.mode
    }

    /// True after `close`.
    #[getter]
    fn closed(&self) -> bool {
        self.open.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The newest commit, 0 for none.
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        let store = self.store()?;
        py.detach(|| store.lsn()).raise()
    }

    /// Random number that names this store, 32 hexadecimal digits.
    #[getter]
    fn uuid(&self) -> PyResult<String> {
        Ok(self.store()?.uuid())
    }

    /// Gives the handle up. Arrays and atoms stay valid. Doing it twice does nothing.
    fn close(&self, py: Python<'_>) {
        let store = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(store));
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: KeyArg) -> PyResult<Bound<'py, PyAny>> {
        let store = self.store()?;
        let read = || {
            let payload = store.get(key.borrow())?;
            let bytes = if is_long(&payload) { None } else { Some(payload.bytes()?) };
            Ok((bytes, payload))
        };
        let (bytes, payload) = py.detach(read).raise()?;
        let Some(bytes) = bytes else { return PyAtom::array_of(py, &payload) };
        let info = payload.info();
        crate::buffer::array(py, bytes, info.dtype, &info.shape)
    }

    fn __setitem__(&self, py: Python<'_>, key: KeyArg, value: Bound<'_, PyAny>) -> PyResult<()> {
        self.put(py, key, value, None, None, None, None, None).map(drop)
    }

    fn __delitem__(&self, py: Python<'_>, key: KeyArg) -> PyResult<()> {
        if self.delete(py, key, None)? { Ok(()) } else { Err(of_kind("NotFound", "no such atom")) }
    }

    fn __contains__(&self, py: Python<'_>, key: KeyArg) -> PyResult<bool> {
        let store = self.store()?;
        py.detach(|| store.exists(key.borrow())).raise()
    }

    /// A handle on a key's atom, now or `as_of` a commit number, a datetime, or seconds since the Unix epoch (a float).
    /// Raises NotFoundError, a KeyError.
    #[pyo3(signature = (key, *, as_of = None, namespace = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: KeyArg,
        as_of: Option<Bound<'py, PyAny>>,
        namespace: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let store = self.store()?;
        let snapshot = as_of.map(|as_of| snapshot_at(&store, Some(&as_of))).transpose()?;
        let get = || {
            let namespace = existing(&store, namespace)?;
            let address = key.within(namespace.as_ref());
            snapshot.map_or_else(|| store.get(address), |snapshot| snapshot.get(address))
        };
        PyAtom::wrap(py, py.detach(get).raise()?)
    }

    /// Stores one array durably and returns the commit. `dtype` converts floats, or says how raw integers are meant.
    /// `if_version` is the version the key must have (0: none), else ConflictError; `parents` are keys it was made from.
    /// Ctrl-C stops a put of 32 MiB or more, and leaves nothing of it; a smaller one ends first.
    #[pyo3(signature = (key, array, *, metadata = None, namespace = None, if_version = None, dtype = None, parents = None))]
    #[expect(clippy::too_many_arguments, reason = "options are keywords in Python")]
    fn put(
        &self,
        py: Python<'_>,
        key: KeyArg,
        array: Bound<'_, PyAny>,
        metadata: Option<Bound<'_, PyAny>>,
        namespace: Option<&str>,
        if_version: Option<u64>,
        dtype: Option<&str>,
        parents: Option<Vec<KeyArg>>,
    ) -> PyResult<u64> {
        let store = self.store()?;
        let item = Item::new(&array, dtype)?;
        let options = crate::put::options(metadata.as_ref(), if_version, parents)?;
        let tensor = item.tensor()?;
        if tensor.bytes().len() as u64 >= LONG_BYTES {
            return long(py, "put", None, |control| {
                let namespace = wanted(&store, namespace)?;
                let mut txn = store.begin()?;
                txn.put_within(key.within(namespace.as_ref()), &tensor, &options, control)?;
                txn.commit_within(control)
            });
        }
        let put = || {
            let namespace = wanted(&store, namespace)?;
            store.put_with(key.within(namespace.as_ref()), &tensor, &options)
        };
        py.detach(put).raise()
    }

    /// Deletes a key and returns whether it existed. Arrays on it stay valid.
    #[pyo3(signature = (key, *, namespace = None))]
    fn delete(&self, py: Python<'_>, key: KeyArg, namespace: Option<&str>) -> PyResult<bool> {
        let store = self.store()?;
        py.detach(|| store.delete(key.within(existing(&store, namespace)?.as_ref()))).raise()
    }

    /// A transaction, for use in a `with` block: committed at its end, given up on an exception.
    fn transaction(&self, py: Python<'_>) -> PyResult<PyTransaction> {
        let store = self.store()?;
        py.detach(|| store.begin()).raise().map(|txn| PyTransaction::new(store.clone(), txn))
    }

    /// A writer for an array too large for memory, for use in a `with` block. The first dimension of `shape` may be -1.
    #[pyo3(signature = (key, dtype, shape, *, metadata = None, namespace = None, if_version = None))]
    #[expect(clippy::too_many_arguments, reason = "options are keywords in Python")]
    fn writer(
        &self,
        py: Python<'_>,
        key: KeyArg,
        dtype: &str,
        shape: Vec<i64>,
        metadata: Option<Bound<'_, PyAny>>,
        namespace: Option<&str>,
        if_version: Option<u64>,
    ) -> PyResult<PyWriter> {
        let store = self.store()?;
        let dtype = dtype::parse(dtype)?;
        let options = crate::put::options(metadata.as_ref(), if_version, None)?;
        let start = || {
            let namespace = wanted(&store, namespace)?;
            PyWriter::start(store.begin()?, key.within(namespace.as_ref()), dtype, &shape, &options)
        };
        py.detach(start).raise()
    }

    /// The store as it is, or as it was: see `get` for `as_of`.
    #[pyo3(signature = (as_of = None, *, namespace = None))]
    fn snapshot(
        &self,
        py: Python<'_>,
        as_of: Option<Bound<'_, PyAny>>,
        namespace: Option<&str>,
    ) -> PyResult<PySnapshot> {
        let store = self.store()?;
        let snapshot = snapshot_at(&store, as_of.as_ref())?;
        let found = py.detach(|| existing(&store, namespace)).raise()?;
        let snapshot = found.map_or(snapshot.clone(), |namespace| snapshot.in_namespace(&namespace));
        Ok(PySnapshot { snapshot })
    }

    /// Descriptors of the atoms whose names start with a prefix, in key order.
    #[pyo3(signature = (prefix = "", *, namespace = None, limit = None))]
    fn list(
        &self,
        py: Python<'_>,
        prefix: &str,
        namespace: Option<&str>,
        limit: Option<usize>,
    ) -> PyResult<Vec<PyAtomInfo>> {
        snapshot::list(py, &self.snapshot(py, None, namespace)?.snapshot, prefix, limit)
    }

    /// Names of all namespaces; the default one is "".
    fn namespaces(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let store = self.store()?;
        py.detach(|| store.namespaces()).raise()
    }

    /// Runs one SELECT over the views atoms, versions, payloads, segments, commits, changes, lineages, manifests,
    /// vector_sets, vector_parts, and returns a list of dicts. More rows than `limit` are an error.
    #[pyo3(signature = (sql, *, limit = QUERY_ROWS))]
    fn query<'py>(&self, py: Python<'py>, sql: &str, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let store = self.store()?;
        let answer = py.detach(|| store.query(sql, limit)).raise()?;
        let rows = PyList::empty(py);
        for row in answer.rows {
            let dict = PyDict::new(py);
            for (column, value) in answer.columns.iter().zip(row) {
                match value {
                    SqlValue::Null => dict.set_item(column, py.None())?,
                    SqlValue::Integer(number) => dict.set_item(column, number)?,
                    SqlValue::Real(number) => dict.set_item(column, number)?,
                    SqlValue::Text(text) => dict.set_item(column, text)?,
                    SqlValue::Blob(bytes) => dict.set_item(column, pyo3::types::PyBytes::new(py, &bytes))?,
                }
            }
            rows.append(dict)?;
        }
        Ok(rows)
    }

    /// Imports a safetensors or .npy file, all of it or nothing, and returns counts. `progress` is True (tqdm, if
    /// installed) or a callable of bytes done and bytes in all. Ctrl-C stops it.
    #[pyo3(signature = (path, prefix = "", *, namespace = None, progress = None))]
    fn import_file<'py>(
        &self,
        py: Python<'py>,
        path: PathBuf,
        prefix: &str,
        namespace: Option<&str>,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store()?;
        let work = |control: &Control<'_>| {
            let mut options = ImportOptions::new().prefix(prefix);
            if let Some(namespace) = wanted(&store, namespace)? {
                options = options.namespace(&namespace);
            }
            store.import_file(&path, &options, control)
        };
        let report = long(py, "import", progress.as_ref(), work)?;
        let dict = PyDict::new(py);
        dict.set_item("atoms", report.atoms)?;
        dict.set_item("file_bytes", report.file_bytes)?;
        dict.set_item("payload_bytes", report.payload_bytes)?;
        dict.set_item("new_bytes", report.new_bytes)?;
        dict.set_item("version", report.lsn)?;
        Ok(dict)
    }

    /// Writes the atoms under a prefix, which is taken off, into a safetensors file. One that was imported comes out the
    /// same, bit for bit. Ctrl-C stops it and leaves no file.
    #[pyo3(signature = (prefix, path, *, namespace = None, progress = None))]
    fn export<'py>(
        &self,
        py: Python<'py>,
        prefix: &str,
        path: PathBuf,
        namespace: Option<&str>,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let snapshot = self.snapshot(py, None, namespace)?.snapshot;
        let options = ExportOptions::new().prefix(prefix);
        export_report(
            py,
            long(py, "export", progress.as_ref(), |control| snapshot.export_file(&path, &options, control))?,
        )
    }

    /// Counts, and what every byte of the directory is for, as a dict; `accounted` sums to `disk_bytes`. `codecs` lists
    /// payloads, bytes and ratio of each codec, and the bytes per second that a thread of this process decodes, None until
    /// it did; `holders` the processes that keep segments from being deleted. `cold_directory` is None, or a dict of path,
    /// disk_bytes and problem, which is why it cannot be used now.
    fn stat<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store()?;
        let text = py.detach(|| store.stat().and_then(|stat| stat.to_json())).raise()?;
        let dict = from_json(py, &text)?.cast_into::<PyDict>()?;
        dict.set_item("version", dict.get_item("lsn")?)?;
        dict.del_item("lsn")?;
        Ok(dict)
    }

    /// Reads and verifies everything, or the atoms under a prefix. Returns a dict; `damaged` is empty when all is sound, and
    /// `unavailable` says why cold payloads could not be looked at. Ctrl-C stops it.
    #[pyo3(signature = (prefix = None, *, progress = None))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        prefix: Option<&str>,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store()?;
        let options = prefix.map_or_else(VerifyOptions::new, |prefix| VerifyOptions::new().prefix(prefix));
        let report = long(py, "verify", progress.as_ref(), |control| store.verify(&options, control))?;
        let damaged = PyList::empty(py);
        for damage in &report.damaged {
            let dict = PyDict::new(py);
            dict.set_item("namespace", &damage.namespace)?;
            dict.set_item("key", damage.key.as_ref().map(|key| to_python(py, key)).transpose()?)?;
            dict.set_item("version", damage.lsn)?;
            dict.set_item("is_current", damage.is_current)?;
            dict.set_item("segment", damage.segment)?;
            dict.set_item("offset", damage.offset)?;
            dict.set_item("what", &damage.what)?;
            damaged.append(dict)?;
        }
        let dict = PyDict::new(py);
        dict.set_item("is_sound", report.is_sound())?;
        dict.set_item("atoms", report.atoms_checked)?;
        dict.set_item("payloads", report.payloads_checked)?;
        dict.set_item("bytes", report.bytes_checked)?;
        dict.set_item("damaged", damaged)?;
        dict.set_item("payloads_unavailable", report.payloads_unavailable)?;
        dict.set_item("unavailable", report.unavailable)?;
        Ok(dict)
    }

    /// The policy of the tiers as a dict: hot_days, warm_days, min_bytes, warm_bytes_max, deltas, codec, rules, pins. Set it
    /// to change it for all processes; what is left out has its default.
    #[getter]
    fn tier_policy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let store = self.store()?;
        from_json(py, &py.detach(|| store.tier_policy().and_then(|policy| policy.to_json())).raise()?)
    }

    #[setter]
    fn set_tier_policy(&self, py: Python<'_>, policy: &Bound<'_, PyAny>) -> PyResult<()> {
        let store = self.store()?;
        let text = to_json(policy)?;
        py.detach(|| TierPolicy::from_json(&text).and_then(|policy| store.set_tier_policy(&policy))).raise()
    }

    /// Keeps names that start with a prefix warm, and reads them into memory when the store is opened; `exact` means this
    /// very name, an integer this very key. Returns whether that is new.
    #[pyo3(signature = (prefix, *, exact = false, namespace = None))]
    fn pin(&self, py: Python<'_>, prefix: KeyArg, exact: bool, namespace: Option<&str>) -> PyResult<bool> {
        let store = self.store()?;
        let pin = tier_pin(prefix.borrow(), exact, namespace);
        py.detach(|| store.pin(&pin)).raise()
    }

    /// Takes a pin back. Returns whether there was one.
    #[pyo3(signature = (prefix, *, exact = false, namespace = None))]
    fn unpin(&self, py: Python<'_>, prefix: KeyArg, exact: bool, namespace: Option<&str>) -> PyResult<bool> {
        let store = self.store()?;
        let pin = tier_pin(prefix.borrow(), exact, namespace);
        py.detach(|| store.unpin(&pin)).raise()
    }

    /// What the policy would move now and why, as a dict with a list `moves`. Changes nothing.
    fn plan<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let store = self.store()?;
        from_json(py, &py.detach(|| store.plan().and_then(|plan| plan.to_json())).raise()?)
    }

    /// Carries a plan out; without one notes what was read, plans, and carries that out. Returns a dict of counts. Ctrl-C stops
    /// it; what was moved by then stays.
    #[pyo3(signature = (plan = None, *, progress = None))]
    fn apply<'py>(
        &self,
        py: Python<'py>,
        plan: Option<Bound<'py, PyAny>>,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store()?;
        let plan = plan.as_ref().map(to_json).transpose()?;
        let plan = plan.map(|text| TierPlan::from_json(&text)).transpose().raise()?;
        let facts = long(py, "apply", progress.as_ref(), |control| match &plan {
            Some(plan) => store.apply(plan, control).map(|report| report.facts()),
            None => store.maintain(control).map(|report| report.facts()),
        })?;
        facts_dict(py, &facts)
    }

    /// Moves what starts with a prefix to the tier `cold` or `warm`, whatever the policy says. Returns a dict of counts.
    /// On the way to cold what was made from something else (a parent, an earlier version, or with `base` the atom of the same
    /// name under that prefix) is stored as what differs, where that is clearly smaller; `deltas` overrules the policy in
    /// this. Ctrl-C stops it.
    #[expect(clippy::too_many_arguments, reason = "options are keywords in Python")]
    #[pyo3(signature = (prefix, tier, *, base = None, deltas = None, namespace = None, progress = None))]
    fn move_to_tier<'py>(
        &self,
        py: Python<'py>,
        prefix: &str,
        tier: &str,
        base: Option<&str>,
        deltas: Option<bool>,
        namespace: Option<&str>,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store()?;
        let options = base.into_iter().fold(MoveOptions::new(), MoveOptions::base);
        let options = deltas.into_iter().fold(options, MoveOptions::deltas);
        let unknown = || tensoratom::Error::invalid_argument(format!("'{tier}' is no tier: cold or warm"));
        let tier = Tier::from_name(tier).ok_or_else(unknown).raise()?;
        let namespace = store.namespace(namespace.unwrap_or_default()).raise()?;
        let report = long(py, "tier", progress.as_ref(), |control| {
            store.move_to_tier_with(Some(&namespace), prefix, tier, &options, control)
        })?;
        facts_dict(py, &report.facts())
    }

    /// Reclaims the space of old copies, and with `keep_history` (seconds) of versions that were replaced or deleted longer
    /// ago; without it all history stays. Segments with at least this share of dead bytes are rewritten. `dry_run` only says
    /// what would be freed. Returns a dict of counts and `findings`, segments that damage keeps. Ctrl-C stops it.
    #[pyo3(signature = (keep_history = None, *, dead_share = GcOptions::DEAD_SHARE, dry_run = false, progress = None))]
    fn gc<'py>(
        &self,
        py: Python<'py>,
        keep_history: Option<f64>,
        dead_share: f64,
        dry_run: bool,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store()?;
        let mut options = GcOptions::new().dead_share(dead_share).dry_run(dry_run);
        if let Some(seconds) = keep_history {
            let wrong = |_| tensoratom::Error::invalid_argument(format!("{seconds} seconds are no length of time"));
            options = options.keep_history(Duration::try_from_secs_f64(seconds).map_err(wrong).raise()?);
        }
        let report = long(py, "gc", progress.as_ref(), |control| store.gc(&options, control))?;
        let dict = facts_dict(py, &report.facts())?;
        dict.set_item("findings", report.findings)?;
        dict.set_item("unavailable", report.unavailable)?;
        Ok(dict)
    }

    /// A vector set: opened if it exists, made if `dim` is given and there is none.
    #[pyo3(signature = (name, dim = None, dtype = "f32", metric = "cosine", *, namespace = None))]
    fn vectors(
        &self,
        py: Python<'_>,
        name: &str,
        dim: Option<usize>,
        dtype: &str,
        metric: &str,
        namespace: Option<&str>,
    ) -> PyResult<PyVectorSet> {
        let store = self.store()?;
        let dtype: DType = dtype::parse(dtype)?;
        let metric: Metric = metric.parse().raise()?;
        let open = || match dim {
            Some(dim) => match wanted(&store, namespace)? {
                Some(namespace) => namespace.vectors(name, dim, dtype, metric),
                None => store.vectors(name, dim, dtype, metric),
            },
            None => match existing(&store, namespace)? {
                Some(namespace) => store.vector_set(namespace.key(name)),
                None => store.vector_set(name),
            },
        };
        py.detach(open).raise().map(PyVectorSet::new)
    }

    /// A stored matrix to search in where it lies; ids are row numbers. `companion` builds 8-bit codes in memory, which
    /// make repeated searches faster.
    #[pyo3(signature = (key, metric = "cosine", *, namespace = None, companion = false))]
    fn matrix(
        &self,
        py: Python<'_>,
        key: KeyArg,
        metric: &str,
        namespace: Option<&str>,
        companion: bool,
    ) -> PyResult<PyMatrix> {
        let store = self.store()?;
        let metric: Metric = metric.parse().raise()?;
        let open = |control: &Control<'_>| {
            let namespace = existing(&store, namespace)?;
            let matrix = store.snapshot()?.matrix(key.within(namespace.as_ref()), metric)?;
            if companion { matrix.with_companion(control) } else { Ok(matrix) }
        };
        Ok(PyMatrix { matrix: long(py, "companion", None, open)? })
    }
}
