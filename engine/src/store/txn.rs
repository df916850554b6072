//! Transactions: changes collected, seen by the transaction itself, committed all or nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::bytes::{AlignedBuffer, Bytes};
use crate::catalog::{CopyRow, LATEST, Span, VersionRow};
use crate::control::Control;
use crate::digest::Digest;
use crate::dtype::{DType, Encoding, byte_len};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Codec, RecordKind, TEXT_BYTES_MAX, Tier};
use crate::key::Key;
use crate::segment::{Appender, Description, encoding_to_text};
use crate::tensor::Tensor;

use super::Store;
use super::atom::{Atom, AtomInfo, Payload};
use super::history::Hold;
use super::namespace::Namespace;
use super::options::ReadMode;
use super::snapshot::Address;
use super::staging::{Change, Content, Expect, ManifestChange, Staged, StagedPayload, StagedVersion};
use super::writer::PayloadWriter;

/// Payloads up to this size wait in memory for the commit; larger ones are written at once.
const BUFFERED_BYTES_MAX: usize = 256 << 10;
/// Payloads waiting in memory, per transaction, before they are written out.
const BUFFERED_TOTAL_MAX: u64 = 16 << 20;

/// Keys looked at in one step when many are deleted.
const LIST_PAGE: usize = 4096;

/// What [`WriteTxn::put_with`] takes besides the tensor.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    pub(crate) metadata: Option<String>,
    pub(crate) expect: Expect,
    pub(crate) parents: Vec<Key>,
}

impl PutOptions {
    /// No metadata, no condition, no parents.
    pub fn new() -> Self {
        Self::default()
    }

    /// One JSON object as text, at most 1 MiB. Kept as it is.
    #[must_use]
    pub fn metadata(mut self, json: impl Into<String>) -> Self {
        self.metadata = Some(json.into());
        self
    }

    /// What must hold for the key at commit.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Keys of the same namespace that this atom was made from. They must exist at commit.
    #[must_use]
    pub fn parents(mut self, parents: impl IntoIterator<Item = Key>) -> Self {
        self.parents = parents.into_iter().collect();
        self
    }
}

/// A batch of changes. Sees the store as it was when the transaction began, and its own changes on top. Dropped without
/// [`WriteTxn::commit`] it changes nothing.
///
/// Transactions of any number of threads and processes run at once; only their commits are serial. Two that change
/// the same key both succeed, the later one wins, unless a condition ([`Expect`]) says otherwise. For vector sets see
/// [`WriteTxn::vectors`].
#[derive(Debug)]
pub struct WriteTxn {
    store: Store,
    /// What the transaction sees of others.
    lsn: u64,
    staged: Staged,
    buffered_bytes: u64,
    expected_bytes: u64,
    _hold: Arc<Hold>,
}

impl WriteTxn {
    pub(super) fn new(store: Store, lsn: u64) -> Self {
        let staged = Staged::new(Arc::clone(&store.inner.segments));
        let hold = store.inner.history.hold(lsn);
        WriteTxn { store, lsn, staged, buffered_bytes: 0, expected_bytes: 0, _hold: hold }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn lsn(&self) -> u64 {
        self.lsn
    }

    pub(super) fn staged(&mut self) -> &mut Staged {
        &mut self.staged
    }

    /// How many payload bytes are going to be written, roughly. Very large transactions then use fewer, larger
    /// segments and so fewer file handles.
    pub fn expect_bytes(&mut self, bytes: u64) {
        self.expected_bytes = bytes;
    }

    /// Stores a tensor under a key, replacing the current version. Hashes it now; one that the namespace holds already
    /// is not written again (after a check that the stored bytes are sound).
    pub fn put<'k>(&mut self, key: impl Into<Address<'k>>, tensor: &Tensor<'_>) -> Result<()> {
        self.put_with(key, tensor, &PutOptions::default())
    }

    /// As [`WriteTxn::put`], with metadata, a condition, parents.
    pub fn put_with<'k>(
        &mut self,
        key: impl Into<Address<'k>>,
        tensor: &Tensor<'_>,
        options: &PutOptions,
    ) -> Result<()> {
        let address = key.into();
        self.put_inner(address, tensor, options).map_err(|e| e.during("put").key(address.key))
    }

    fn put_inner(&mut self, address: Address<'_>, tensor: &Tensor<'_>, options: &PutOptions) -> Result<()> {
        self.check_new_version(address, tensor.encoding(), options)?;
        let pool = self.store.inner.segments.pool()?;
        let digest = Digest::of_parallel(tensor.bytes(), pool);
        let version = StagedVersion {
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            encoding: tensor.encoding().clone(),
            metadata: options.metadata.clone(),
            digest,
            raw_bytes: tensor.bytes().len() as u64,
            parents: options.parents.clone(),
        };
        let description = self.describe(address, &version);
        self.stage_payload(address.namespace, digest, description, tensor.bytes())?;
        self.stage_version(address, version, options.expect);
        Ok(())
    }

    /// Several puts; stops at the first that fails, and then the transaction should be dropped.
    pub fn put_many<'k, 't>(&mut self, tensors: impl IntoIterator<Item = (Address<'k>, Tensor<'t>)>) -> Result<()> {
        tensors.into_iter().try_for_each(|(address, tensor)| self.put(address, &tensor))
    }

    /// Checks that need no payload.
    pub(super) fn check_new_version(
        &self,
        address: Address<'_>,
        encoding: &Encoding,
        options: &PutOptions,
    ) -> Result<()> {
        self.store.inner.check_writable()?;
        address.key.check()?;
        options.parents.iter().try_for_each(|parent| parent.as_ref().check())?;
        encoding_to_text(encoding)?;
        options.metadata.as_deref().map_or(Ok(()), check_metadata)
    }

    pub(super) fn describe(&self, address: Address<'_>, version: &StagedVersion) -> Description {
        Description {
            kind: RecordKind::Payload,
            namespace: address.namespace,
            key: Some(address.key.to_key()),
            dtype: version.dtype,
            shape: version.shape.clone(),
            encoding: version.encoding.clone(),
            created_us: u64::try_from(self.store.inner.volume.now_us()).unwrap_or(0),
        }
    }

    pub(super) fn stage_version(&mut self, address: Address<'_>, version: StagedVersion, expect: Expect) {
        let key = (address.namespace, address.key.to_key());
        if expect != Expect::Any {
            self.staged.conditions.push((key.clone(), expect));
        }
        self.staged.changes.insert(key, Change::Put(version));
    }

    /// Makes sure that a payload will be in the store after the commit: by what is there, in memory, or in a segment.
    pub(super) fn stage_payload(
        &mut self,
        namespace: u32,
        digest: Digest,
        description: Description,
        bytes: &[u8],
    ) -> Result<()> {
        if self.staged.payloads.contains_key(&(namespace, digest)) {
            return Ok(());
        }
        let (known, replaces) = self.find_stored(namespace, &digest)?;
        let content = if known {
            Content::Existing
        } else if bytes.len() <= BUFFERED_BYTES_MAX {
            let mut buffer = AlignedBuffer::zeroed(bytes.len())?;
            buffer.as_mut_slice().copy_from_slice(bytes);
            self.buffered_bytes += bytes.len() as u64;
            Content::Buffered(Bytes::owned(buffer))
        } else {
            let appender = self.appender_for(&description, Some(bytes.len() as u64))?;
            Content::Written(Self::append(&mut self.staged, appender, description.clone(), bytes, digest)?)
        };
        let raw_bytes = bytes.len() as u64;
        let payload = StagedPayload { description, raw_bytes, content, replaces };
        self.staged.payloads.insert((namespace, digest), payload);
        if self.buffered_bytes > BUFFERED_TOTAL_MAX { self.write_buffered() } else { Ok(()) }
    }

    fn append(
        staged: &mut Staged,
        mut appender: Appender,
        description: Description,
        bytes: &[u8],
        digest: Digest,
    ) -> Result<crate::segment::Written> {
        let segments = staged.segments();
        let outcome = segments.pool().and_then(|pool| appender.append(description, bytes, Some(digest), Some(pool)));
        staged.appenders.push(appender);
        outcome
    }

    /// Writes payloads that wait in memory into a segment, so that a transaction of any size needs bounded memory.
    fn write_buffered(&mut self) -> Result<()> {
        let waiting: Vec<(u32, Digest)> = self
            .staged
            .payloads
            .iter()
            .filter(|(_, payload)| matches!(payload.content, Content::Buffered(_)))
            .map(|(key, _)| *key)
            .collect();
        for key in waiting {
            let Some(payload) = self.staged.payloads.get(&key).cloned() else { continue };
            let Content::Buffered(bytes) = payload.content else { continue };
            let appender = self.appender_for(&payload.description, Some(payload.raw_bytes))?;
            let written = Self::append(&mut self.staged, appender, payload.description, &bytes, key.1)?;
            if let Some(payload) = self.staged.payloads.get_mut(&key) {
                payload.content = Content::Written(written);
            }
        }
        self.buffered_bytes = 0;
        Ok(())
    }

    /// Whether the store has this payload in a sound copy, and whether it has only such as are damaged or away.
    pub(super) fn find_stored(&self, namespace: u32, digest: &Digest) -> Result<(bool, bool)> {
        let inner = &self.store.inner;
        let Some(row) = inner.catalog.read()?.view()?.payload(namespace, digest)? else { return Ok((false, false)) };
        let sound =
            inner.segments.open_copy(&row.copy, digest, row.raw_bytes).and_then(|copy| match self.store.read_mode {
                ReadMode::Mapped if !copy.is_buffered() => {
                    copy.slice(0..row.raw_bytes, || inner.segments.helpers()).map(drop)
                }
                ReadMode::Mapped | ReadMode::Positioned => copy.verify_all(&|| Ok(())).map(drop),
            });
        match sound {
            Ok(()) => Ok((true, false)),
            // A new copy takes the place of what is damaged or cannot be looked at, instead of relying on it.
            Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::ColdUnavailable) => Ok((false, true)),
            Err(e) => Err(e),
        }
    }

    /// An appender of this transaction with room for a payload; taken out, to be pushed back after use.
    pub(super) fn appender_for(&mut self, description: &Description, raw_bytes: Option<u64>) -> Result<Appender> {
        if let Some(last) = self.staged.appenders.last()
            && !last.is_broken()
            && last.fits(description, raw_bytes)?
            && let Some(appender) = self.staged.appenders.pop()
        {
            return Ok(appender);
        }
        let inner = &self.store.inner;
        inner.segments.appender(&inner.catalog, Tier::Warm, description, raw_bytes, self.expected_bytes)
    }

    /// Starts storing a payload of unknown length. The shape's first dimension may be left open ([`None`]); it follows
    /// from the bytes written. Nothing is stored unless the writer is finished.
    pub fn writer<'k>(
        &mut self,
        key: impl Into<Address<'k>>,
        dtype: DType,
        shape: &[Option<u64>],
        options: &PutOptions,
    ) -> Result<PayloadWriter<'_>> {
        self.writer_encoded(key, dtype, shape, Encoding::Plain, options)
    }

    /// As [`WriteTxn::writer`], for elements that are not plain.
    pub fn writer_encoded<'k>(
        &mut self,
        key: impl Into<Address<'k>>,
        dtype: DType,
        shape: &[Option<u64>],
        encoding: Encoding,
        options: &PutOptions,
    ) -> Result<PayloadWriter<'_>> {
        let address = key.into();
        let writer = PayloadWriter::encoded(self, address, dtype, shape, encoding, options);
        writer.map_err(|e| e.during("put").key(address.key))
    }

    /// Deletes a key. Returns whether it existed. Its payload stays readable in snapshots made before.
    pub fn delete<'k>(&mut self, key: impl Into<Address<'k>>) -> Result<bool> {
        self.delete_with(key, Expect::Any)
    }

    /// As [`WriteTxn::delete`]; the commit fails with `Conflict` unless the key is then what was expected.
    pub fn delete_with<'k>(&mut self, key: impl Into<Address<'k>>, expect: Expect) -> Result<bool> {
        let address = key.into();
        let mut delete = || -> Result<bool> {
            self.store.inner.check_writable()?;
            address.key.check()?;
            let existed = self.is_there(address)?;
            if expect != Expect::Any {
                self.staged.conditions.push(((address.namespace, address.key.to_key()), expect));
            }
            self.staged.changes.insert((address.namespace, address.key.to_key()), Change::Delete);
            Ok(existed)
        };
        delete().map_err(|e| e.during("delete").key(address.key))
    }

    /// Deletes every name that starts with a prefix, together with what is remembered of files imported under exactly
    /// that prefix. Returns how many keys existed. An empty prefix deletes all atoms of the namespace, integers included;
    /// vector sets stay.
    pub fn delete_prefix(&mut self, namespace: Option<&Namespace>, prefix: &str) -> Result<u64> {
        self.delete_prefix_within(namespace, prefix, &Control::new())
    }

    /// As [`WriteTxn::delete_prefix`], ended by the flag or the deadline between two keys; the transaction is as it was
    /// before then, and goes on.
    pub fn delete_prefix_within(
        &mut self,
        namespace: Option<&Namespace>,
        prefix: &str,
        control: &Control<'_>,
    ) -> Result<u64> {
        let namespace = namespace.map_or(0, Namespace::id);
        self.store.inner.check_writable()?;
        let inner = Arc::clone(&self.store.inner);
        let reader = inner.catalog.read()?;
        let mut keys: BTreeSet<Key> = self.staged_keys(namespace, prefix);
        let mut after: Option<Key> = None;
        let mut lsn = self.lsn;
        let manifests = loop {
            control.check().map_err(|e| e.during("delete"))?;
            let span = Span { prefix, after: after.as_ref().map(Key::as_ref), limit: LIST_PAGE };
            let page = reader.view()?.list(namespace, span, lsn.min(LATEST)).map_err(|e| e.during("delete"))?;
            after = page.last().map(|(row, _)| row.key.clone());
            keys.extend(page.iter().map(|(row, _)| row.key.clone()));
            if page.len() == LIST_PAGE {
                continue;
            }
            let manifests = reader.view()?.manifests(namespace, prefix, lsn.min(LATEST))?;
            match inner.check_moment(lsn) {
                // What is deleted without a condition may be looked for in the newest state as well.
                Err(e) if e.kind() == ErrorKind::Forgotten => (lsn, after) = (inner.current_lsn()?, None),
                other => break other.map(|()| manifests)?,
            }
        };
        let mut deleted = 0;
        for key in &keys {
            control.check().map_err(|e| e.during("delete"))?;
            let address = Address { namespace, key: key.as_ref() };
            deleted += u64::from(self.is_there(address).map_err(|e| e.during("delete").key(key))?);
        }
        // From here on nothing fails, so that nothing is deleted in part.
        self.staged.changes.extend(keys.into_iter().map(|key| ((namespace, key), Change::Delete)));
        for manifest in manifests {
            self.staged.manifests.insert((namespace, manifest.prefix, manifest.name), ManifestChange::Delete);
        }
        Ok(deleted)
    }

    /// Names under a prefix that this transaction put.
    fn staged_keys(&self, namespace: u32, prefix: &str) -> BTreeSet<Key> {
        let put = self.staged.changes.iter().filter(|(_, change)| matches!(change, Change::Put(_)));
        put.filter(|((ns, key), _)| *ns == namespace && key.as_ref().starts_with(prefix))
            .map(|((_, key), _)| key.clone())
            .collect()
    }

    /// Gives the current version another key of the same namespace. Fails with `NotFound`, with `AlreadyExists`, and
    /// at commit with `Conflict` if somebody changed either key meanwhile.
    pub fn rename<'k>(&mut self, from: impl Into<Address<'k>>, to: impl Into<Address<'k>>) -> Result<()> {
        let (from, to) = (from.into(), to.into());
        let mut rename = || -> Result<()> {
            self.store.inner.check_writable()?;
            to.key.check()?;
            if from.namespace != to.namespace {
                return Err(Error::new(ErrorKind::InvalidArgument, "a key cannot move to another namespace"));
            }
            if self.is_there(to)? {
                return Err(Error::new(ErrorKind::AlreadyExists, format!("the key '{}' exists", to.key)));
            }
            let version = self.take_version(from)?;
            self.staged.changes.insert((from.namespace, from.key.to_key()), Change::Delete);
            // This transaction may have deleted the key itself; then the version it deleted must still be there.
            let stored = self.unchanged(to)?;
            let expected = stored.map_or(Expect::Absent, |atom| Expect::Version(atom.info.lsn));
            self.staged.conditions.push(((to.namespace, to.key.to_key()), expected));
            self.staged.changes.insert((to.namespace, to.key.to_key()), Change::Put(version));
            Ok(())
        };
        rename().map_err(|e| e.during("rename").key(from.key))
    }

    /// Replaces the metadata of a key (`None` removes it), making a new version with the same payload.
    pub fn set_metadata<'k>(&mut self, key: impl Into<Address<'k>>, metadata: Option<&str>) -> Result<()> {
        let address = key.into();
        let mut set = || -> Result<()> {
            self.store.inner.check_writable()?;
            metadata.map_or(Ok(()), check_metadata)?;
            let mut version = self.take_version(address)?;
            version.metadata = metadata.map(str::to_owned);
            self.staged.changes.insert((address.namespace, address.key.to_key()), Change::Put(version));
            Ok(())
        };
        set().map_err(|e| e.during("set metadata of").key(address.key))
    }

    /// The version a key has for this transaction, ready to be staged again; a stored one may not change until commit.
    fn take_version(&mut self, address: Address<'_>) -> Result<StagedVersion> {
        let key = (address.namespace, address.key.to_key());
        match self.staged.changes.get(&key) {
            Some(Change::Put(version)) => return Ok(version.clone()),
            Some(Change::Delete) => return Err(not_found()),
            None => {}
        }
        let atom = self.unchanged(address)?.ok_or_else(not_found)?;
        let info = &atom.info;
        self.staged.conditions.push((key, Expect::Version(info.lsn)));
        let version = StagedVersion {
            dtype: info.dtype,
            shape: info.shape.clone(),
            encoding: info.encoding.clone(),
            metadata: info.metadata.clone(),
            digest: info.digest,
            raw_bytes: info.bytes,
            parents: Vec::new(),
        };
        let description = self.describe(address, &version);
        let payload = StagedPayload { description, raw_bytes: info.bytes, content: Content::Existing, replaces: false };
        self.staged.payloads.entry((address.namespace, version.digest)).or_insert(payload);
        Ok(version)
    }

    /// The version of a key that others made, for a change to it: as the transaction began, or as it is now where that
    /// moment was forgotten meanwhile.
    fn stored(&self, address: Address<'_>) -> Result<Option<Arc<Atom>>> {
        match self.store.inner.atom_at(address, self.lsn) {
            Err(e) if e.kind() == ErrorKind::Forgotten => self.store.inner.atom(address),
            other => other,
        }
    }

    /// As [`Self::stored`], for a change that rests on it. What somebody changed meanwhile is the conflict now that it would
    /// be at the commit.
    fn unchanged(&self, address: Address<'_>) -> Result<Option<Arc<Atom>>> {
        let atom = self.stored(address)?;
        match atom.as_ref().is_some_and(|atom| atom.info.lsn > self.lsn) {
            true => Err(Error::new(ErrorKind::Conflict, "another commit changed the key after the transaction began")
                .hint("run the transaction again")),
            false => Ok(atom),
        }
    }

    /// Whether there is something to be changed under a key.
    fn is_there(&self, address: Address<'_>) -> Result<bool> {
        match self.staged.changes.get(&(address.namespace, address.key.to_key())) {
            Some(change) => Ok(matches!(change, Change::Put(_))),
            None => Ok(self.stored(address)?.is_some()),
        }
    }

    /// The descriptor a key has for this transaction.
    fn version(&self, address: Address<'_>) -> Result<Option<AtomInfo>> {
        match self.staged.changes.get(&(address.namespace, address.key.to_key())) {
            Some(Change::Put(version)) => Ok(Some(self.staged_info(address, version))),
            Some(Change::Delete) => Ok(None),
            None => Ok(self.store.inner.atom_at(address, self.lsn)?.map(|atom| atom.info.clone())),
        }
    }

    fn staged_info(&self, address: Address<'_>, version: &StagedVersion) -> AtomInfo {
        AtomInfo::new(self.staged_row(address, version), None)
    }

    fn staged_row(&self, address: Address<'_>, version: &StagedVersion) -> VersionRow {
        VersionRow {
            key: address.key.to_key(),
            lsn_from: 0,
            lsn_to: None,
            payload: 0,
            digest: version.digest,
            raw_bytes: version.raw_bytes,
            dtype: version.dtype,
            shape: version.shape.clone(),
            encoding: version.encoding.clone(),
            metadata: version.metadata.clone(),
            created_us: 0,
        }
    }

    /// The payload of a key as this transaction sees it. A handle on a payload this transaction put (its LSN is 0) is
    /// readable until the transaction ends.
    pub fn get<'k>(&mut self, key: impl Into<Address<'k>>) -> Result<Payload> {
        let address = key.into();
        self.get_inner(address).map_err(|e| e.during("get").key(address.key))
    }

    fn get_inner(&mut self, address: Address<'_>) -> Result<Payload> {
        let key = (address.namespace, address.key.to_key());
        let version = match self.staged.changes.get(&key) {
            Some(Change::Put(version)) => version.clone(),
            Some(Change::Delete) => return Err(not_found()),
            None => {
                let atom = self.store.inner.atom_at(address, self.lsn)?.ok_or_else(not_found)?;
                return Ok(Payload::stored(atom, self.store.read_mode));
            }
        };
        let row = self.staged_row(address, &version);
        self.staged_payload(address.namespace, row)
    }

    /// The payload of a version that this transaction adds.
    pub(super) fn staged_payload(&mut self, namespace: u32, row: VersionRow) -> Result<Payload> {
        let payload = self.staged.payloads.get(&(namespace, row.digest));
        let content = payload.map(|payload| payload.content.clone());
        let place = match content.ok_or_else(|| Error::internal("a version without a payload"))? {
            Content::Buffered(bytes) => return Ok(Payload::staged(AtomInfo::new(row, None), bytes)),
            Content::Written(written) => {
                self.staged.appenders.iter_mut().try_for_each(Appender::write_out)?;
                Some(CopyRow {
                    payload: 0, // none the catalog knows
                    segment: written.segment,
                    offset: written.offset,
                    extent_bytes: written.extent_bytes,
                    stored_bytes: written.stored_bytes,
                    codec: Codec::Raw,
                    tier: Tier::Warm,
                    site: written.site,
                    salt: written.salt,
                    capacity_bytes: written.capacity_bytes,
                })
            }
            Content::Existing => {
                let stored = self.store.inner.catalog.read()?.view()?.payload(namespace, &row.digest)?;
                stored.map(|stored| stored.copy)
            }
        };
        let tier = place.as_ref().map(|place| place.tier);
        let atom = Atom::new(row, place, tier, Arc::clone(&self.store.inner.segments));
        // Positioned: bytes that may still be taken back must not be mapped.
        Ok(Payload::stored(Arc::new(atom), ReadMode::Positioned))
    }

    /// The descriptor of a key as this transaction sees it.
    pub fn info<'k>(&self, key: impl Into<Address<'k>>) -> Result<AtomInfo> {
        let address = key.into();
        self.version(address)?.ok_or_else(|| not_found().during("info").key(address.key))
    }

    /// Whether a key exists for this transaction.
    pub fn exists<'k>(&self, key: impl Into<Address<'k>>) -> Result<bool> {
        Ok(self.version(key.into())?.is_some())
    }

    /// Remembers the layout of an imported file.
    pub(crate) fn put_manifest(
        &mut self,
        namespace: u32,
        prefix: &str,
        name: &str,
        format: &str,
        header: &[u8],
    ) -> Result<()> {
        let digest = Digest::of(header);
        let description = Description {
            kind: RecordKind::Payload,
            namespace,
            key: None,
            dtype: DType::U8,
            shape: vec![header.len() as u64],
            encoding: Encoding::Plain,
            created_us: u64::try_from(self.store.inner.volume.now_us()).unwrap_or(0),
        };
        self.stage_payload(namespace, digest, description, header)?;
        let change = ManifestChange::Put { format: format.to_owned(), header: digest };
        self.staged.manifests.insert((namespace, prefix.to_owned(), name.to_owned()), change);
        Ok(())
    }

    /// Commits: all changes become visible at once, or none do. Returns the LSN.
    ///
    /// Under [`Durability::Full`](crate::Durability) blocks until the device has everything. Fails with `Conflict` or
    /// `AlreadyExists` when a condition does not hold, `DiskFull`, `Io`, `Busy`; then nothing changed.
    pub fn commit(self) -> Result<u64> {
        self.submit(&Control::new())
    }

    pub(super) fn submit(mut self, control: &Control<'_>) -> Result<u64> {
        self.stage_bitmaps().map_err(|e| e.during("commit"))?;
        let WriteTxn { store, staged, lsn, .. } = self;
        if staged.is_empty() {
            return Ok(lsn);
        }
        store.inner.check_writable()?;
        let durable = store.durability == super::options::Durability::Full;
        store.inner.queue.submit_within(&store.inner, staged, durable, control).map_err(|e| e.during("commit"))
    }

    /// Payload bytes that this transaction brings and the store did not hold.
    pub(crate) fn new_payload_bytes(&self) -> u64 {
        let brought = self.staged.payloads.values().filter(|p| !matches!(p.content, Content::Existing));
        brought.map(|payload| payload.raw_bytes).sum()
    }

    /// Keys this transaction put, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn staged_names(&self) -> Vec<Key> {
        self.staged_keys(0, "").into_iter().collect()
    }

    /// Gives everything up. The same as dropping the transaction.
    pub fn abort(self) {}
}

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "no such atom")
}

/// One JSON object of bounded size. Parsed only to be checked; kept as it was written.
pub(crate) fn check_metadata(text: &str) -> Result<()> {
    let wrong = |what: String| Error::new(ErrorKind::InvalidMetadata, what);
    if text.len() > TEXT_BYTES_MAX {
        return Err(wrong(format!("{} bytes of metadata are more than the {TEXT_BYTES_MAX} allowed", text.len())));
    }
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        Ok(_) => Err(wrong("metadata must be one JSON object".into())),
        Err(e) => Err(wrong("metadata is not valid JSON".into()).source_box(e.into())),
    }
}

/// Checks that a shape with the first dimension filled in takes exactly so many bytes.
pub(super) fn close_shape(
    dtype: DType,
    shape: &[Option<u64>],
    encoding: &Encoding,
    raw_bytes: u64,
) -> Result<Vec<u64>> {
    let wrong = |what: String| Error::new(ErrorKind::InvalidShape, what);
    let mut closed: Vec<u64> = shape.iter().map(|dim| dim.unwrap_or(1)).collect();
    if shape.first().is_some_and(Option::is_none) {
        let row = byte_len(dtype, &closed, encoding)?;
        if row == 0 || !raw_bytes.is_multiple_of(row) {
            return Err(wrong(format!("{raw_bytes} bytes are no whole number of rows of {row} bytes")));
        }
        closed[0] = raw_bytes / row;
    }
    let expected = byte_len(dtype, &closed, encoding)?;
    if expected != raw_bytes {
        return Err(wrong(format!("{dtype} with shape {closed:?} takes {expected} bytes, {raw_bytes} were written")));
    }
    Ok(closed)
}
