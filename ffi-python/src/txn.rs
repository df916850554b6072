//! Transactions, and writers of arrays larger than memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use self_cell::{MutBorrow, self_cell};
use tensoratom::{Address, Control, DType, PayloadWriter, PutOptions, Result, Store, WriteTxn};

use crate::atom::PyAtom;
use crate::buffer::Input;
use crate::error::Raise;
use crate::key::KeyArg;
use crate::put::{Item, options, to_json};
use crate::run::{LONG_BYTES, long};
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

    /// As `with`, for work that Ctrl-C stops.
    fn with_long<T: Send>(
        &self,
        py: Python<'_>,
        title: &str,
        work: impl FnOnce(&mut WriteTxn, &Control<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        let done = long(py, title, None, |control| lock(&self.open).as_mut().map(|txn| work(txn, control)).transpose());
        done?.ok_or_else(ended)
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
        if tensor.bytes().len() as u64 >= LONG_BYTES {
            return self.with_long(py, "put", |txn, control| txn.put_within(key.borrow(), &tensor, &options, control));
        }
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
        // Once stopped, it may have deleted what it was to replace: nothing of the transaction may be committed.
        let done = self.with_long(py, "upsert", |txn, control| txn.vectors(name)?.within(*control).upsert(&ids, rows));
        if done.is_err() {
            self.abort(py);
        }
        done
    }

    /// Commits and returns the commit's number. Durable and visible to every process when it returns. Ctrl-C stops the
    /// wait for other processes and the syncs of many segments, and gives everything up; one sync, and what other threads
    /// commit along with it, ends first.
    fn commit(&self, py: Python<'_>) -> PyResult<u64> {
        let txn = self.take(py).ok_or_else(ended)?;
        long(py, "commit", None, |control| txn.commit_within(control))
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
            (None, Some(txn)) => long(py, "commit", None, |control| txn.commit_within(control)).map(|_| false),
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
        let done = long(py, "commit", None, |control| {
            let Some(mut open) = lock(&self.open).take() else { return Ok(None) };
            let finished = open.with_dependent_mut(|_, pending| pending.take().map(PayloadWriter::finish));
            finished.transpose()?.map(|()| open.into_owner().into_inner().commit_within(control)).transpose()
        });
        done?.ok_or_else(|| closed("the writer has ended"))
    }
}

#[pymethods]
impl PyWriter {
    /// Appends a block: whole rows or any run of elements, in C order. Floats are converted to the writer's type. Ctrl-C
    /// stops a block of 32 MiB or more, and then the array is given up.
    fn write(&self, py: Python<'_>, block: Bound<'_, PyAny>) -> PyResult<()> {
        let input = Input::fitting(&block, |dtype| dtype == self.dtype, self.dtype)?;
        let bytes = input.bytes();
        let write = |control: &Control<'_>| {
            let mut open = lock(&self.open);
            let Some(open) = open.as_mut() else { return Ok(None) };
            let append = |writer: &mut PayloadWriter<'_>| writer.append_within(bytes, control);
            open.with_dependent_mut(|_, pending| pending.as_mut().map(append).transpose())
        };
        let done = match bytes.len() as u64 >= LONG_BYTES {
            true => long(py, "write", None, write)?,
            false => py.detach(|| write(&Control::new())).raise()?,
        };
        done.ok_or_else(|| closed("the writer has ended"))
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
