//! Keys, namespaces and moments as Python gives them.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use tensoratom::{Address, AsOf, Key, KeyRef, Namespace, Result, Snapshot, Store};

use crate::error::Raise;
use crate::python;

/// A key: a name or an integer.
#[derive(FromPyObject)]
pub(crate) enum KeyArg {
    /// A name.
    Name(PyBackedStr),
    /// An integer.
    Int(i64),
}

impl KeyArg {
    /// Borrows the key.
    #[inline]
    pub(crate) fn borrow(&self) -> KeyRef<'_> {
        match self {
            KeyArg::Name(name) => KeyRef::from(&**name),
            KeyArg::Int(number) => KeyRef::from(*number),
        }
    }

    /// The key in a namespace.
    #[inline]
    pub(crate) fn within(&self, namespace: Option<&Namespace>) -> Address<'_> {
        match namespace {
            Some(namespace) => namespace.key(self.borrow()),
            None => self.borrow().into(),
        }
    }

    /// An owned copy.
    pub(crate) fn to_key(&self) -> Key {
        self.borrow().to_key()
    }
}

/// An existing namespace, if one is named.
pub(crate) fn existing(store: &Store, name: Option<&str>) -> Result<Option<Namespace>> {
    name.map(|name| store.namespace(name)).transpose()
}

/// A namespace, made if there is none.
pub(crate) fn wanted(store: &Store, name: Option<&str>) -> Result<Option<Namespace>> {
    name.map(|name| store.create_namespace(name)).transpose()
}

/// A key as Python sees it.
pub(crate) fn to_python<'py>(py: Python<'py>, key: &Key) -> PyResult<Bound<'py, PyAny>> {
    match key {
        Key::Int(number) => Ok(number.into_pyobject(py)?.into_any()),
        Key::Name(name) => Ok(name.into_pyobject(py)?.into_any()),
    }
}

/// A snapshot at a commit number, or at a time: a `datetime`, or seconds since the epoch as a float.
pub(crate) fn snapshot_at(store: &Store, as_of: Option<&Bound<'_, PyAny>>) -> PyResult<Snapshot> {
    let Some(as_of) = as_of else { return store.snapshot().raise() };
    let moment = match as_of.extract::<u64>() {
        Ok(lsn) => AsOf::Lsn(lsn),
        Err(_) => AsOf::Time(python(as_of.py(), "tensoratom._dtypes", "microseconds")?.call1((as_of,))?.extract()?),
    };
    as_of.py().detach(|| store.snapshot_at(moment)).raise()
}
