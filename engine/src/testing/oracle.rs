//! What a store should hold, kept in ordinary maps, and the comparison with what it does hold.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kernels::{Metric, Rows};
use crate::{
    CompactOptions, Control, DType, ErrorKind, GcOptions, GcReport, Key, ListOptions, Namespace, PutOptions, Store,
    Tensor, Tier, TierPolicy, VerifyOptions, WriteTxn,
};

/// One change of a workload.
#[derive(Clone, Debug)]
pub enum Step {
    /// Store these bytes under a key.
    Put(Key, Vec<u8>, Option<String>),
    /// The same, written piece by piece.
    Stream(Key, Vec<u8>),
    /// Delete a key, whether it exists or not.
    Delete(Key),
    /// Move a key; nothing happens where the rules forbid it.
    Rename(Key, Key),
    /// Replace the metadata of a key; nothing happens where it is missing.
    SetMetadata(Key, Option<String>),
    /// Put vectors of [`VECTOR_DIM`] elements into a set, which is created if there is none.
    Upsert(String, Vec<(i64, Vec<u8>)>),
    /// Delete vectors; nothing happens where the set or a vector is missing.
    DeleteVectors(String, Vec<i64>),
    /// Put all parts of a set together, where there is one.
    Compact(String),
    /// Drop a set, where there is one.
    DropVectors(String),
    /// Move what starts with a prefix to a tier, once everything else of the list is committed.
    Move(String, Tier),
    /// Reclaim all space there is, once everything else of the list is committed; with all history if the flag says so.
    Gc(bool),
    /// Set this tier policy, as JSON, and do what it asks for, once everything else of the list is committed.
    Maintain(String),
}

/// Dimension of the vectors in steps, all of type u8.
pub const VECTOR_DIM: usize = 4;

/// What one version should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Payload.
    pub bytes: Vec<u8>,
    /// Metadata.
    pub metadata: Option<String>,
}

/// Vectors by id, as they should be.
pub type Vectors = BTreeMap<i64, Vec<u8>>;

/// The current atoms and vector sets of one namespace, as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State(pub BTreeMap<Key, Expected>, pub BTreeMap<String, Vectors>);

impl State {
    /// Carries a step out here.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Put(key, bytes, metadata) => {
                self.0.insert(key.clone(), Expected { bytes: bytes.clone(), metadata: metadata.clone() });
            }
            Step::Stream(key, bytes) => {
                self.0.insert(key.clone(), Expected { bytes: bytes.clone(), metadata: None });
            }
            Step::Delete(key) => {
                self.0.remove(key);
            }
            Step::Rename(from, to) => {
                if from != to
                    && !self.0.contains_key(to)
                    && let Some(expected) = self.0.remove(from)
                {
                    self.0.insert(to.clone(), expected);
                }
            }
            Step::SetMetadata(key, metadata) => {
                if let Some(expected) = self.0.get_mut(key) {
                    expected.metadata.clone_from(metadata);
                }
            }
            Step::Upsert(set, vectors) => self.1.entry(set.clone()).or_default().extend(vectors.iter().cloned()),
            Step::DeleteVectors(set, ids) => {
                if let Some(vectors) = self.1.get_mut(set) {
                    vectors.retain(|id, _| !ids.contains(id));
                }
            }
            Step::Compact(_) | Step::Move(..) | Step::Gc(_) | Step::Maintain(_) => {}
            Step::DropVectors(set) => {
                self.1.remove(set);
            }
        }
    }

    /// Compares with the store's current atoms and vector sets. `Err` says what differs.
    pub fn compare(&self, store: &Store) -> Result<(), String> {
        self.compare_vectors(store)?;
        let text = |e: crate::Error| format!("{e:?}");
        let listed = store.list(&ListOptions::new()).map_err(text)?;
        let keys: Vec<&Key> = listed.iter().map(|info| &info.key).collect();
        let expected: Vec<&Key> = self.0.keys().collect();
        if keys != expected {
            return Err(format!("keys are {keys:?}, should be {expected:?}"));
        }
        for (key, expected) in &self.0 {
            let payload = store.get(key).map_err(text)?;
            if *payload.bytes().map_err(text)? != *expected.bytes {
                return Err(format!("'{key}' has other bytes"));
            }
            if payload.info().metadata != expected.metadata {
                return Err(format!("'{key}' has metadata {:?}", payload.info().metadata));
            }
        }
        Ok(())
    }
}

impl State {
    fn compare_vectors(&self, store: &Store) -> Result<(), String> {
        let text = |e: crate::Error| format!("{e:?}");
        let sets = store.snapshot().and_then(|snapshot| snapshot.vector_sets()).map_err(text)?;
        let mut found = BTreeMap::new();
        for set in sets {
            let mut vectors = Vectors::new();
            for vector in set.iter() {
                let (id, bytes) = vector.map_err(text)?;
                if vectors.insert(id, bytes.to_vec()).is_some() {
                    return Err(format!("vector {id} of '{}' is there twice", set.name()));
                }
            }
            if set.len() != vectors.len() as u64 {
                return Err(format!("'{}' says it has {} vectors, and has {}", set.name(), set.len(), vectors.len()));
            }
            found.insert(set.name().to_owned(), vectors);
        }
        if found == self.1 { Ok(()) } else { Err(format!("vector sets are {found:?}, should be {:?}", self.1)) }
    }
}

/// Carries a step out in a transaction. What the rules forbid (renaming onto an existing key, say) does nothing.
pub fn run_step(txn: &mut WriteTxn, namespace: &Namespace, step: &Step) -> crate::Result<()> {
    match step {
        Step::Put(key, bytes, metadata) => {
            let tensor = Tensor::new(DType::U8, &[bytes.len() as u64], bytes)?;
            let options = metadata.iter().fold(PutOptions::new(), |options, text| options.metadata(text.clone()));
            txn.put_with(namespace.key(key), &tensor, &options)
        }
        Step::Stream(key, bytes) => {
            let mut writer = txn.writer(namespace.key(key), DType::U8, &[None], &PutOptions::new())?;
            bytes.chunks(1000).try_for_each(|part| writer.append(part))?;
            writer.finish()
        }
        Step::Delete(key) => txn.delete(namespace.key(key)).map(drop),
        Step::Rename(from, to) => match txn.rename(namespace.key(from), namespace.key(to)) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => Ok(()),
            other => other,
        },
        Step::SetMetadata(key, metadata) => match txn.set_metadata(namespace.key(key), metadata.as_deref()) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        },
        Step::Upsert(set, vectors) => {
            let mut writer = match txn.vectors(namespace.key(set)).map(drop) {
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    txn.create_vectors(namespace.key(set), VECTOR_DIM, DType::U8, Metric::SqEuclidean)?
                }
                other => {
                    other?;
                    txn.vectors(namespace.key(set))?
                }
            };
            let (ids, bytes): (Vec<i64>, Vec<&[u8]>) = vectors.iter().map(|(id, bytes)| (*id, &bytes[..])).unzip();
            writer.upsert(&ids, Rows::new(DType::U8, ids.len(), VECTOR_DIM, &bytes.concat())?)
        }
        Step::DeleteVectors(set, ids) => match txn.vectors(namespace.key(set)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            writer => writer?.delete(ids).map(drop),
        },
        Step::Compact(set) => match txn.vectors(namespace.key(set)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            writer => writer?.compact(&CompactOptions::new().dead_fraction(0.0), &Control::new()).map(drop),
        },
        Step::DropVectors(set) => txn.drop_vectors(namespace.key(set)).map(drop),
        Step::Move(..) | Step::Gc(_) | Step::Maintain(..) => Ok(()), // changes nothing that a transaction sees
    }
}

/// Runs a list of steps as one transaction, then its moves and collections.
pub fn commit_steps(store: &Store, steps: &[Step]) -> crate::Result<u64> {
    let default = store.namespace("")?;
    let mut txn = store.begin()?;
    steps.iter().try_for_each(|step| run_step(&mut txn, &default, step))?;
    let lsn = txn.commit()?;
    run_moves(store, &default, steps)?;
    Ok(lsn)
}

/// Carries the moves and collections among some steps out, each by itself.
pub fn run_moves(store: &Store, namespace: &Namespace, steps: &[Step]) -> crate::Result<()> {
    for step in steps {
        match step {
            Step::Move(prefix, tier) => {
                store.move_to_tier(Some(namespace), prefix, *tier, &Control::new())?;
            }
            Step::Gc(forget) => {
                collect(store, *forget)?;
            }
            Step::Maintain(policy) => {
                store.set_tier_policy(&TierPolicy::from_json(policy)?)?;
                let report = store.maintain(&Control::new())?;
                let applied = report.applied;
                let done = applied.moved.payloads_moved + applied.skipped + applied.damaged;
                if done != report.planned {
                    return Err(crate::Error::internal(format!("a plan was not carried out: {report:?}")));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reclaims whatever can be reclaimed.
pub fn collect(store: &Store, forget: bool) -> crate::Result<GcReport> {
    let options = GcOptions::new().dead_share(0.0);
    let options = if forget { options.keep_history(Duration::ZERO) } else { options };
    store.gc(&options, &Control::new())
}

/// Reclaims everything and makes sure that no byte was leaked: nothing dead is left, and no history.
pub fn check_nothing_leaks(store: &Store) -> Result<(), String> {
    let report = collect(store, true).map_err(|e| format!("reclaiming: {e:?}"))?;
    let accounted = store.stat().map_err(|e| format!("{e:?}"))?.accounted;
    if report.segments_busy + report.segments_held > 0 || !report.findings.is_empty() {
        return Err(format!("not everything could be reclaimed: {report:?}"));
    }
    if accounted.dead + accounted.condemned + accounted.held > 0 {
        return Err(format!("space leaks: {accounted:?} after {report:?}"));
    }
    Ok(())
}

/// Verifies the whole store and the account of its bytes.
pub fn check_integrity(store: &Store) -> Result<(), String> {
    let report = store.verify(&VerifyOptions::new(), &Control::new()).map_err(|e| format!("{e:?}"))?;
    if !report.is_sound() {
        return Err(format!("verify found {:?}", report.damaged));
    }
    let stat = store.stat().map_err(|e| format!("{e:?}"))?;
    if stat.accounted.total() != stat.disk_bytes {
        return Err(format!("the account does not add up: {stat:?}"));
    }
    Ok(())
}
