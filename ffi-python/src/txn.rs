//! Transactions, and writers of arrays larger than memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use self_cell::{MutBorrow, self_cell};
use tensoratom::{Address, DType, PayloadWriter, PutOptions, Result, Store, WriteTxn};

use crate::atom::PyAtom;
use crate::buffer::Input;
use crate::error::Raise;
use crate::key::KeyArg;
use crate::put::{Item, options, to_json};
use crate::store::closed;

/// A batch of changes, committed all or nothing. Calls from several threads wait for each other.
#[pyclass(frozen, module = "tensoratom._native", name = "Transaction")]
pub(crate) struct PyTransaction {
    open: Mutex<Option<WriteTxn>>,
    store: Store,
}

impl PyTransaction {
    pub(crate) fn new(store: Store, txn: WriteTxn) -> Self {
        PyTransaction { open: Mutex::new(Some(txn)), store }
    }

    /// Runs `work` on the open transaction. The interpreter is let go before the lock is waited for.
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut WriteTxn) -> Result<T> + Send) -> PyResult<T> {
        py.detach(|| lock(&self.open).as_mut().map(work)).ok_or_else(ended)?.raise()
    }

    fn take(&self, py: Python<'_>) -> Option<WriteTxn> {
        py.detach(|| lock(&self.open).take())
    }
}

/// What a panic left behind is whole: it is replaced in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended() -> PyErr {
    closed("the transaction has ended")
}

#[pymethods]
impl PyTransaction {
    /// Stores an array; see `Store.put`.
    #[pyo3(signature = (key, array, *, metadata = None, if_version = None, dtype = None, parents = None))]
    #[expect(clippy::too_many_arguments, reason = "options are keywords in Python")]
    fn put(
        &self,
        py: Python<'_>,
        key: KeyArg,
        array: Bound<'_, PyAny>,
        metadata: Option<Bound<'_, PyAny>>,
        if_version: Option<u64>,
        dtype: Option<&str>,
        parents: Option<Vec<KeyArg>>,
    ) -> PyResult<()> {
        let item = Item::new(&array, dtype)?;
        let options = options(metadata.as_ref(), if_version, parents)?;
        let tensor = item.tensor()?;
        self.with(py, |txn| txn.put_with(key.borrow(), &tensor, &options))
    }

    fn __setitem__(&self, py: Python<'_>, key: KeyArg, value: Bound<'_, PyAny>) -> PyResult<()> {
        self.put(py, key, value, None, None, None, None)
    }

    fn __delitem__(&self, py: Python<'_>, key: KeyArg) -> PyResult<()> {
        // Asked first, so that a missing key is named in the error.
        self.with(py, |txn| txn.info(key.borrow()).and_then(|_| txn.delete(key.borrow()))).map(drop)
    }

    fn __contains__(&self, py: Python<'_>, key: KeyArg) -> PyResult<bool> {
        self.with(py, |txn| txn.exists(key.borrow()))
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: KeyArg) -> PyResult<Bound<'py, PyAny>> {
        let payload = self.with(py, |txn| txn.get(key.borrow()))?;
        PyAtom::array_of(py, &payload)
    }

    /// Deletes a key and returns whether it existed.
    fn delete(&self, py: Python<'_>, key: KeyArg) -> PyResult<bool> {
        self.with(py, |txn| txn.delete(key.borrow()))
    }

    /// Gives the current version another key.
    fn rename(&self, py: Python<'_>, source: KeyArg, target: KeyArg) -> PyResult<()> {
        self.with(py, |txn| txn.rename(source.borrow(), target.borrow()))
    }

    /// Replaces the metadata of a key; None removes it.
    fn set_metadata(&self, py: Python<'_>, key: KeyArg, metadata: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let text = metadata.as_ref().map(to_json).transpose()?;
        self.with(py, |txn| txn.set_metadata(key.borrow(), text.as_deref()))
    }

    /// Adds vectors to an existing vector set, or replaces those of the same ids.
    fn upsert(&self, py: Python<'_>, name: &str, ids: Bound<'_, PyAny>, array: Bound<'_, PyAny>) -> PyResult<()> {
        let ids = crate::vectors::ids(&ids)?;
        let dtype = py.detach(|| self.store.vector_set(name)).raise()?.dtype();
        let input = Input::new(&array, Some(dtype.name()))?;
        let rows = input.rows()?;
        self.with(py, |txn| txn.vectors(name)?.upsert(&ids, rows))
    }

    /// Commits and returns the commit's number. Durable and visible to every process when it returns.
    fn commit(&self, py: Python<'_>) -> PyResult<u64> {
        let txn = self.take(py).ok_or_else(ended)?;
        py.detach(|| txn.commit()).raise()
    }

    /// Gives everything up. Doing it twice does nothing.
    fn abort(&self, py: Python<'_>) {
        let txn = self.take(py);
        py.detach(|| drop(txn));
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (kind, value, traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyAny>>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let _ = (value, traceback);
        match (kind, self.take(py)) {
            (None, Some(txn)) => py.detach(|| txn.commit()).raise().map(|_| false),
            (_, txn) => {
                py.detach(|| drop(txn));
                Ok(false)
            }
        }
    }
}

/// A payload writer borrows its transaction.
type Pending<'t> = Option<PayloadWriter<'t>>;

self_cell!(
    struct Open {
        owner: MutBorrow<WriteTxn>,

        #[not_covariant]
        dependent: Pending,
    }
);

/// Writes one array block by block, in bounded memory. Stored when the `with` block ends, given up on an exception.
/// Calls from several threads wait for each other.
#[pyclass(frozen, module = "tensoratom._native", name = "Writer")]
pub(crate) struct PyWriter {
    open: Mutex<Option<Open>>,
    dtype: DType,
}

impl PyWriter {
    /// A writer in a transaction of its own. A dimension of -1 is open.
    pub(crate) fn start(
        txn: WriteTxn,
        address: Address<'_>,
        dtype: DType,
        shape: &[i64],
        options: &PutOptions,
    ) -> Result<Self> {
        let wrong = |dim: i64| tensoratom::Error::invalid_argument(format!("a dimension of {dim}"));
        let open_or =
            |&dim: &i64| if dim == -1 { Ok(None) } else { u64::try_from(dim).map(Some).map_err(|_| wrong(dim)) };
        let shape = shape.iter().map(open_or).collect::<Result<Vec<_>>>()?;
        let open = Open::try_new(MutBorrow::new(txn), |txn| {
            txn.borrow_mut().writer(address, dtype, &shape, options).map(Some)
        })?;
        Ok(PyWriter { open: Mutex::new(Some(open)), dtype })
    }

    fn finish(&self, py: Python<'_>) -> PyResult<u64> {
        let finish = || {
            let mut open = lock(&self.open).take()?;
            let finished = open.with_dependent_mut(|_, pending| pending.take().map(PayloadWriter::finish))?;
            Some(finished.and_then(|()| open.into_owner().into_inner().commit()))
        };
        py.detach(finish).ok_or_else(|| closed("the writer has ended"))?.raise()
    }
}

#[pymethods]
impl PyWriter {
    /// Appends a block: whole rows or any run of elements, in C order. Floats are converted to the writer's type.
    fn write(&self, py: Python<'_>, block: Bound<'_, PyAny>) -> PyResult<()> {
        let input = Input::fitting(&block, |dtype| dtype == self.dtype, self.dtype)?;
        let bytes = input.bytes();
        let write = || {
            let mut open = lock(&self.open);
            open.as_mut()?.with_dependent_mut(|_, pending| pending.as_mut().map(|writer| writer.append(bytes)))
        };
        py.detach(write).ok_or_else(|| closed("the writer has ended"))?.raise()
    }

    /// Bytes written so far.
    #[getter]
    fn nbytes(&self, py: Python<'_>) -> u64 {
        py.detach(|| {
            let open = lock(&self.open);
            let len =
                |open: &Open| open.with_dependent(|_, pending| pending.as_ref().map_or(0, PayloadWriter::len_bytes));
            open.as_ref().map_or(0, len)
        })
    }

    /// Ends the array, commits, and returns the commit's number.
    fn close(&self, py: Python<'_>) -> PyResult<u64> {
        self.finish(py)
    }

    /// Gives the array up. Doing it twice does nothing.
    fn abort(&self, py: Python<'_>) {
        py.detach(|| drop(lock(&self.open).take()));
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (kind, value, traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyAny>>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let _ = (value, traceback);
        let ended = py.detach(|| lock(&self.open).is_none());
        if kind.is_some() || ended {
            self.abort(py);
        } else {
            self.finish(py)?;
        }
        Ok(false)
    }
}
