//! Namespaces: tenants of one store, whose keys, listings and duplicates never meet.

use crate::error::{Error, ErrorKind, Result};
use crate::key::KeyRef;

use super::snapshot::{Address, ListOptions};
use super::staging::Staged;
use super::{AtomInfo, Durability, Payload, Store};

/// Longest name of a namespace in bytes.
const NAME_BYTES_MAX: usize = 256;

/// A namespace of an open store. Makes addresses for every call that takes a key.
#[derive(Clone, Debug)]
pub struct Namespace {
    store: Store,
    id: u32,
    name: String,
}

impl Namespace {
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Its name; empty for the default namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A key in this namespace, for [`Store::get`], [`WriteTxn::put`](crate::WriteTxn::put) and all the others.
    pub fn key<'k>(&self, key: impl Into<KeyRef<'k>>) -> Address<'k> {
        Address { namespace: self.id, key: key.into() }
    }

    /// The current payload of a key in this namespace.
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Result<Payload> {
        self.store.get(self.key(key))
    }

    /// Current atoms of this namespace, in key order.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<AtomInfo>> {
        self.store.snapshot()?.in_namespace(self).list(options)
    }
}

impl Store {
    /// An existing namespace; `""` is the default one. Fails with `NotFound`.
    pub fn namespace(&self, name: &str) -> Result<Namespace> {
        self.inner.check_usable()?;
        let id = self.inner.catalog.read()?.view()?.namespace(name)?;
        let id = id.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("no namespace '{}'", name.escape_debug())).during("open namespace")
        })?;
        Ok(Namespace { store: self.clone(), id, name: name.to_owned() })
    }

    /// A namespace, created in a commit of its own if it does not exist. Names have 1 to 256 bytes and no NUL.
    pub fn create_namespace(&self, name: &str) -> Result<Namespace> {
        match self.namespace(name) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
        self.inner.check_writable()?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            let what = format!("names of namespaces have 1 to {NAME_BYTES_MAX} bytes and no NUL");
            return Err(Error::new(ErrorKind::InvalidArgument, what).during("create namespace"));
        }
        let mut staged = Staged::new(std::sync::Arc::clone(&self.inner.segments));
        staged.new_namespaces.push(name.to_owned());
        let durable = self.durability == Durability::Full;
        self.inner.queue.submit(&self.inner, staged, durable).map_err(|e| e.during("create namespace"))?;
        self.namespace(name)
    }

    /// Names of all namespaces, the default one first.
    pub fn namespaces(&self) -> Result<Vec<String>> {
        self.inner.check_usable()?;
        let rows = self.inner.catalog.read()?.view()?.namespaces()?;
        Ok(rows.into_iter().map(|(_, name)| name).collect())
    }
}
