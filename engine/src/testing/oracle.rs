//! What a store should hold, kept in ordinary maps, and the comparison with what it does hold.

use std::collections::BTreeMap;

use crate::{
    Control, DType, ErrorKind, Key, ListOptions, Namespace, PutOptions, Store, Tensor, VerifyOptions, WriteTxn,
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
}

/// What one version should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Payload.
    pub bytes: Vec<u8>,
    /// Metadata.
    pub metadata: Option<String>,
}

/// The current atoms of one namespace, as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State(pub BTreeMap<Key, Expected>);

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
        }
    }

    /// Compares with the store's current atoms. `Err` says what differs.
    pub fn compare(&self, store: &Store) -> Result<(), String> {
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
    }
}

/// Runs a list of steps as one transaction.
pub fn commit_steps(store: &Store, steps: &[Step]) -> crate::Result<u64> {
    let default = store.namespace("")?;
    let mut txn = store.begin()?;
    steps.iter().try_for_each(|step| run_step(&mut txn, &default, step))?;
    txn.commit()
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
