//! What a transaction is going to do, collected until it commits: final states of keys, payloads, conditions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::bytes::Bytes;
use crate::catalog::{Catalog, Forget};
use crate::digest::Digest;
use crate::dtype::{DType, Encoding};
use crate::error::{Error, Result};
use crate::format::{Codec, Tier};
use crate::key::Key;
use crate::segment::{Appender, Description, PayloadCopy, Written};

use super::segments::Segments;
use super::vectors::{SetName, StagedSet};

/// What must hold for a key when the transaction commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Nothing in particular.
    #[default]
    Any,
    /// The key has no current version.
    Absent,
    /// The current version is the one this commit made ([`AtomInfo::lsn`](crate::AtomInfo)).
    Version(u64),
}

/// The version a key is going to have.
#[derive(Clone, Debug)]
pub(crate) struct StagedVersion {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    pub(crate) encoding: Encoding,
    pub(crate) metadata: Option<String>,
    pub(crate) digest: Digest,
    pub(crate) raw_bytes: u64,
    pub(crate) parents: Vec<Key>,
}

/// Final state of a key.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(StagedVersion),
    Delete,
}

/// Final state of an imported file's manifest.
#[derive(Clone, Debug)]
pub(crate) enum ManifestChange {
    Put { format: String, header: Digest },
    Delete,
}

/// A payload that staged versions use.
#[derive(Clone, Debug)]
pub(crate) struct StagedPayload {
    pub(crate) description: Description,
    pub(crate) raw_bytes: u64,
    pub(crate) content: Content,
    /// The copies in the store are damaged or away; this one takes their place.
    pub(crate) replaces: bool,
}

/// A payload's new copy, verified, and the copy it was made from.
#[derive(Clone, Debug)]
pub(crate) struct StagedMove {
    pub(crate) namespace: u32,
    pub(crate) from: (u64, u64),
    pub(crate) written: Written,
    pub(crate) codec: Codec,
    pub(crate) tier: Tier,
    /// What the new copy is coded against.
    pub(crate) base: Option<Arc<PayloadCopy>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Small: in memory, written with the commit.
    Buffered(Bytes),
    /// In one of the transaction's own segments.
    Written(Written),
    /// In the store already.
    Existing,
}

/// Everything a transaction changes.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) changes: BTreeMap<(u32, Key), Change>,
    pub(crate) manifests: BTreeMap<(u32, String, String), ManifestChange>,
    pub(crate) vectors: BTreeMap<SetName, StagedSet>,
    pub(crate) new_namespaces: Vec<String>,
    pub(crate) payloads: HashMap<(u32, Digest), StagedPayload>,
    /// Copies written to take the place of others; what users see stays as it is.
    pub(crate) moves: Vec<StagedMove>,
    /// History that is given up.
    pub(crate) forget: Option<Forget>,
    pub(crate) conditions: Vec<((u32, Key), Expect)>,
    /// Segments the transaction wrote to; the last is the one it goes on with.
    pub(crate) appenders: Vec<Appender>,
    segments: Arc<Segments>,
}

impl Staged {
    pub(crate) fn new(segments: Arc<Segments>) -> Self {
        Staged {
            changes: BTreeMap::new(),
            manifests: BTreeMap::new(),
            vectors: BTreeMap::new(),
            new_namespaces: Vec::new(),
            payloads: HashMap::new(),
            moves: Vec::new(),
            forget: None,
            conditions: Vec::new(),
            appenders: Vec::new(),
            segments,
        }
    }

    pub(crate) fn segments(&self) -> Arc<Segments> {
        Arc::clone(&self.segments)
    }

    /// True when there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.manifests.is_empty()
            && self.vectors.values().all(StagedSet::is_empty)
            && self.new_namespaces.is_empty()
            && self.moves.is_empty()
            && self.forget.is_none()
    }

    /// True when the commit needs hardly any space but for its own record: what must work on a full disk.
    pub(crate) fn only_deletes(&self) -> bool {
        self.new_namespaces.is_empty()
            && self.moves.is_empty()
            && self.changes.values().all(|change| matches!(change, Change::Delete))
            && self.manifests.values().all(|change| matches!(change, ManifestChange::Delete))
            && self.vectors.values().all(StagedSet::only_deletes)
    }

    /// A segment of this transaction's own with room for a record of a tier: the last one, or another. Not to be asked for
    /// under the catalog's write lock.
    pub(crate) fn appender_for(
        &mut self,
        catalog: &Catalog,
        tier: Tier,
        description: &Description,
        raw_bytes: u64,
    ) -> Result<&mut Appender> {
        let tier = self.segments.sites().tier_for(tier);
        let own = match self.appenders.last() {
            Some(last) => last.tier() == tier && last.fits(description, Some(raw_bytes))?,
            None => false,
        };
        if !own {
            self.appenders.push(self.segments.appender(catalog, tier, description, Some(raw_bytes), 0)?);
        }
        self.appenders.last_mut().ok_or_else(|| Error::internal("no segment to write to"))
    }

    /// The segment it goes on with, if records of commits may go there: never to a disk that may be taken away.
    pub(crate) fn for_log(&mut self) -> Option<&mut Appender> {
        self.appenders.last_mut().filter(|last| last.tier() != Tier::Cold)
    }

    /// Digests that the final states refer to, with their namespaces.
    pub(crate) fn used_payloads(&self) -> impl Iterator<Item = (u32, Digest)> + '_ {
        let versions = self.changes.iter().filter_map(|((namespace, _), change)| match change {
            Change::Put(version) => Some((*namespace, version.digest)),
            Change::Delete => None,
        });
        let headers = self.manifests.iter().filter_map(|((namespace, ..), change)| match change {
            ManifestChange::Put { header, .. } => Some((*namespace, *header)),
            ManifestChange::Delete => None,
        });
        let vectors = self
            .vectors
            .iter()
            .flat_map(|((namespace, _), set)| set.used_payloads().map(|digest| (*namespace, digest)));
        versions.chain(headers).chain(vectors)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for mut appender in self.appenders.drain(..) {
            if self.segments.fork().is_forked() {
                continue; // the segment is the parent's
            }
            appender.take_back_all();
            self.segments.give_back(appender);
        }
    }
}
