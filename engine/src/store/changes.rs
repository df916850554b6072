//! What happened since a commit: puts and deletes in order, read page by page.

use crate::error::Result;
use crate::key::Key;

use super::Store;

/// Changes read from the catalog in one step.
const PAGE: usize = 1024;

/// One change of one atom.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The commit that made it.
    pub lsn: u64,
    /// The key it happened to.
    pub key: Key,
    /// Whether the atom was put; deleted otherwise.
    pub is_put: bool,
}

/// An iteration over changes, bounded in memory. Made by [`Store::changes`]; ends after its first error.
#[derive(Debug)]
pub struct Changes {
    store: Store,
    namespace: String,
    since: u64,
    until: u64,
    /// The last one read; the next page starts behind it.
    after: Option<(u64, Key)>,
    page: std::vec::IntoIter<Change>,
    is_done: bool,
}

impl Store {
    /// Changes of the atoms of a namespace (`""` is the default one) by commits after `since`, up to the newest commit now, by
    /// commit and then by key. Several changes of a key by one commit are one change. Shows what history still holds: of an
    /// atom whose old versions were collected, only what is left of them. Fails with `NotFound` for an unknown namespace.
    pub fn changes(&self, namespace: &str, since: u64) -> Result<Changes> {
        self.namespace(namespace)?;
        Ok(Changes {
            store: self.clone(),
            namespace: namespace.to_owned(),
            since,
            until: self.lsn()?,
            after: None,
            page: Vec::new().into_iter(),
            is_done: false,
        })
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.is_done {
            match self.read() {
                Err(e) => {
                    self.is_done = true;
                    return Some(Err(e.during("changes")));
                }
                Ok(page) => {
                    self.is_done = page.len() < PAGE;
                    self.after = page.last().map(|change| (change.lsn, change.key.clone()));
                    self.page = page.into_iter();
                }
            }
        }
        self.page.next().map(Ok)
    }
}

impl Changes {
    fn read(&self) -> Result<Vec<Change>> {
        let inner = &self.store.inner;
        inner.check_usable()?;
        let reader = inner.catalog.read()?;
        let rows = reader.view()?.changes(&self.namespace, (self.since, self.until), self.after.as_ref(), PAGE)?;
        Ok(rows.into_iter().map(|(lsn, key, is_put)| Change { lsn, key, is_put }).collect())
    }
}
