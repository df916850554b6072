//! Stores, namespaces, snapshots and payloads, as C++ calls them.

use std::path::PathBuf;
use std::time::Duration;

use tensoratom::kernels::quantize::dequantize_payload;
use tensoratom::{
    Address, AsOf, Control, Encoding, Error, ExportOptions, FileFormat, ImportOptions, Key, ListOptions, Namespace,
    Options, ReadMode, Result, Snapshot, Store, VerifyOptions,
};

use crate::bridge::ffi;
use crate::bridge::ffi::{Failure, Listener};
use crate::txn::Txn;
use crate::wall::{Cancel, Failed, controlled, wall};

/// A store, and the namespace in which its keys are meant.
pub(crate) struct Scope {
    pub(crate) store: Store,
    pub(crate) namespace: Option<Namespace>,
}

pub(crate) struct Moment(pub(crate) Snapshot);
pub(crate) struct Payload(tensoratom::Payload);
pub(crate) struct Bytes(tensoratom::Bytes);

pub(crate) fn open(path: &[u8], options: &ffi::OpenOptions, failure: &mut Failure) -> Result<Box<Scope>, Failed> {
    wall(failure, || {
        let (path, opened) = (to_path(path)?, to_options(options)?);
        let store = match options.mode {
            0 => Store::open(path, &opened),
            1 => Store::open_or_create(path, &opened),
            _ => Store::create(path, &opened),
        }?;
        Ok(Box::new(Scope { store, namespace: None }))
    })
}

impl Scope {
    pub(crate) fn address<'k>(&self, key: ffi::KeyRef<'k>) -> Address<'k> {
        let key = key_ref(key);
        self.namespace.as_ref().map_or_else(|| key.into(), |namespace| namespace.key(key))
    }

    pub(crate) fn moment(&self, snapshot: Snapshot) -> Moment {
        Moment(match &self.namespace {
            Some(namespace) => snapshot.in_namespace(namespace),
            None => snapshot,
        })
    }

    pub(crate) fn duplicate(&self) -> Box<Scope> {
        Box::new(Scope { store: self.store.clone(), namespace: self.namespace.clone() })
    }

    pub(crate) fn in_namespace(&self, name: &str, create: bool, failure: &mut Failure) -> Result<Box<Scope>, Failed> {
        wall(failure, || {
            let store = self.store.clone();
            let namespace = if create { store.create_namespace(name) } else { store.namespace(name) }?;
            Ok(Box::new(Scope { store, namespace: Some(namespace) }))
        })
    }

    pub(crate) fn namespaces(&self, failure: &mut Failure) -> Result<Vec<String>, Failed> {
        wall(failure, || self.store.namespaces())
    }

    pub(crate) fn uuid(&self) -> String {
        self.store.uuid()
    }

    pub(crate) fn facts(&self) -> ffi::StoreFacts {
        ffi::StoreFacts {
            uuid: self.store.uuid(),
            path: self.store.path().map(|path| path.as_os_str().as_encoded_bytes().to_vec()).unwrap_or_default(),
            created_us: self.store.created_us(),
            segment_bytes: self.store.segment_bytes(),
            chunk_bytes: self.store.chunk_bytes(),
            is_read_only: self.store.is_read_only(),
        }
    }

    pub(crate) fn lsn(&self, failure: &mut Failure) -> Result<u64, Failed> {
        wall(failure, || self.store.lsn())
    }

    pub(crate) fn get(&self, key: ffi::KeyRef<'_>, failure: &mut Failure) -> Result<Box<Payload>, Failed> {
        wall(failure, || Ok(Box::new(Payload(self.store.get(self.address(key))?))))
    }

    pub(crate) fn exists(&self, key: ffi::KeyRef<'_>, failure: &mut Failure) -> Result<bool, Failed> {
        wall(failure, || self.store.exists(self.address(key)))
    }

    pub(crate) fn stat(
        &self,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<ffi::Stat, Failed> {
        wall(failure, || {
            let stat = controlled(listener, cancel, |control| self.store.stat_within(&control))?;
            let parts = stat.accounted.parts().into_iter();
            Ok(ffi::Stat {
                lsn: stat.lsn,
                atoms: stat.atoms,
                versions: stat.versions,
                payloads: stat.payloads,
                namespaces: stat.namespaces,
                vector_sets: stat.vector_sets,
                segments: stat.segments,
                raw_bytes: stat.raw_bytes,
                stored_bytes: stat.stored_bytes,
                disk_bytes: stat.disk_bytes,
                parts: parts.map(|(name, bytes)| ffi::Part { name: name.to_owned(), bytes }).collect(),
            })
        })
    }

    pub(crate) fn verify(
        &self,
        prefix: &str,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<ffi::VerifyReport, Failed> {
        wall(failure, || {
            let options = match (&self.namespace, prefix) {
                (Some(namespace), prefix) => VerifyOptions::new().prefix_in(namespace, prefix),
                (None, "") => VerifyOptions::new(),
                (None, prefix) => VerifyOptions::new().prefix(prefix),
            };
            let report = controlled(listener, cancel, |control| self.store.verify(&options, &control))?;
            let damage = |d: tensoratom::Damage| ffi::Damage {
                name_space: d.namespace,
                key: d.key.map(|key| key.to_string()).unwrap_or_default(),
                what: d.what,
                is_current: d.is_current,
            };
            Ok(ffi::VerifyReport {
                atoms_checked: report.atoms_checked,
                payloads_checked: report.payloads_checked,
                chunks_checked: report.chunks_checked,
                bytes_checked: report.bytes_checked,
                damaged: report.damaged.into_iter().map(damage).collect(),
                payloads_unavailable: report.payloads_unavailable,
                unavailable: report.unavailable.unwrap_or_default(),
            })
        })
    }

    pub(crate) fn query(
        &self,
        sql: &str,
        row_limit: usize,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<ffi::QueryResult, Failed> {
        wall(failure, || {
            let answer = controlled(listener, cancel, |control| self.store.query_within(sql, row_limit, &control))?;
            let values = answer.rows.into_iter().flatten().map(sql_value).collect();
            Ok(ffi::QueryResult { columns: answer.columns, values })
        })
    }

    pub(crate) fn import_file(
        &self,
        path: &[u8],
        prefix: &str,
        format: u8,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<ffi::ImportReport, Failed> {
        wall(failure, || {
            let (path, options) = (to_path(path)?, self.import_options(prefix, format)?);
            let import = |control: Control<'_>| self.store.import_file(path, &options, &control);
            Ok(import_report(controlled(listener, cancel, import)?))
        })
    }

    /// Into this namespace; `format` 0 goes by the file's name.
    pub(crate) fn import_options(&self, prefix: &str, format: u8) -> Result<ImportOptions> {
        let options = ImportOptions::new().prefix(prefix);
        let options = self.namespace.iter().fold(options, |options, namespace| options.namespace(namespace));
        match format {
            0 => Ok(options),
            1 => Ok(options.format(FileFormat::Safetensors)),
            2 => Ok(options.format(FileFormat::Npy)),
            other => Err(Error::invalid_argument(format!("no format of files has number {other}"))),
        }
    }

    pub(crate) fn snapshot(&self, failure: &mut Failure) -> Result<Box<Moment>, Failed> {
        wall(failure, || Ok(Box::new(self.moment(self.store.snapshot()?))))
    }

    pub(crate) fn snapshot_at(&self, lsn: u64, failure: &mut Failure) -> Result<Box<Moment>, Failed> {
        wall(failure, || Ok(Box::new(self.moment(self.store.snapshot_at(AsOf::Lsn(lsn))?))))
    }

    pub(crate) fn snapshot_at_time(&self, time_us: u64, failure: &mut Failure) -> Result<Box<Moment>, Failed> {
        wall(failure, || Ok(Box::new(self.moment(self.store.snapshot_at(AsOf::Time(time_us))?))))
    }

    pub(crate) fn begin(&self, failure: &mut Failure) -> Result<Box<Txn>, Failed> {
        wall(failure, || Ok(Box::new(Txn(self.store.begin()?))))
    }
}

impl Moment {
    pub(crate) fn snapshot_lsn(&self) -> u64 {
        self.0.lsn()
    }

    pub(crate) fn snapshot_get(&self, key: ffi::KeyRef<'_>, failure: &mut Failure) -> Result<Box<Payload>, Failed> {
        wall(failure, || Ok(Box::new(Payload(self.0.get(key_ref(key))?))))
    }

    pub(crate) fn snapshot_list(
        &self,
        prefix: &str,
        limit: usize,
        is_after: bool,
        after: ffi::KeyRef<'_>,
        failure: &mut Failure,
    ) -> Result<Vec<ffi::AtomInfo>, Failed> {
        wall(failure, || {
            let mut options = ListOptions::new().prefix(prefix).limit(limit);
            if is_after {
                options = options.after(key_ref(after).to_key());
            }
            let atoms = self.0.list(&options)?;
            Ok(atoms.iter().map(atom_info).collect())
        })
    }

    pub(crate) fn export_file(
        &self,
        path: &[u8],
        prefix: &str,
        file_name: &str,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<ffi::ExportReport, Failed> {
        wall(failure, || {
            let (path, mut options) = (to_path(path)?, ExportOptions::new().prefix(prefix));
            if !file_name.is_empty() {
                options = options.file_name(file_name);
            }
            let r = controlled(listener, cancel, |control| self.0.export_file(path, &options, &control))?;
            Ok(ffi::ExportReport { atoms: r.atoms, file_bytes: r.file_bytes, header_kept: r.header_kept })
        })
    }
}

pub(crate) fn export_npy(
    moment: &Moment,
    key: ffi::KeyRef<'_>,
    path: &[u8],
    failure: &mut Failure,
) -> Result<(), Failed> {
    wall(failure, || moment.0.export_npy(key_ref(key), to_path(path)?))
}

pub(crate) fn import_report(r: tensoratom::ImportReport) -> ffi::ImportReport {
    ffi::ImportReport {
        atoms: r.atoms,
        file_bytes: r.file_bytes,
        payload_bytes: r.payload_bytes,
        new_bytes: r.new_bytes,
        lsn: r.lsn,
    }
}

impl Payload {
    pub(crate) fn of(payload: tensoratom::Payload) -> Self {
        Payload(payload)
    }

    pub(crate) fn info(&self, failure: &mut Failure) -> Result<ffi::AtomInfo, Failed> {
        wall(failure, || Ok(atom_info(self.0.info())))
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn bytes(&self, failure: &mut Failure) -> Result<Box<Bytes>, Failed> {
        wall(failure, || Ok(Box::new(Bytes(self.0.bytes()?))))
    }

    pub(crate) fn range(&self, start: u64, end: u64, failure: &mut Failure) -> Result<Box<Bytes>, Failed> {
        wall(failure, || Ok(Box::new(Bytes(self.0.range(start..end)?))))
    }

    pub(crate) fn rows(&self, start: u64, end: u64, failure: &mut Failure) -> Result<Box<Bytes>, Failed> {
        wall(failure, || Ok(Box::new(Bytes(self.0.rows(start..end)?))))
    }

    pub(crate) fn read_into(&self, offset: u64, target: &mut [u8], failure: &mut Failure) -> Result<(), Failed> {
        wall(failure, || self.0.read_into(offset, target))
    }

    /// First byte of some rows, and the one behind them.
    pub(crate) fn row_range(&self, start: u64, end: u64, failure: &mut Failure) -> Result<Vec<u64>, Failed> {
        wall(failure, || self.0.row_range(start..end).map(|range| vec![range.start, range.end]))
    }

    pub(crate) fn range_within(
        &self,
        start: u64,
        end: u64,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<Box<Bytes>, Failed> {
        let read = |control: Control<'_>| self.0.range_within(start..end, &control);
        wall(failure, || Ok(Box::new(Bytes(controlled(listener, cancel, read)?))))
    }

    /// All elements, whatever their type and encoding.
    pub(crate) fn read_f32(
        &self,
        target: &mut [f32],
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        wall(failure, || {
            let info = self.0.info();
            let bytes = controlled(listener, cancel, |control| self.0.range_within(0..self.0.len(), &control))?;
            dequantize_payload(info.dtype, &info.shape, &info.encoding, &bytes, target)
        })
    }

    pub(crate) fn read_into_within(
        &self,
        offset: u64,
        target: &mut [u8],
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        let read = |control: Control<'_>| self.0.read_into_within(offset, target, &control);
        wall(failure, || controlled(listener, cancel, read))
    }
}

impl Bytes {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.0.is_mapped()
    }
}

pub(crate) fn key_ref(key: ffi::KeyRef<'_>) -> tensoratom::KeyRef<'_> {
    if key.is_name { tensoratom::KeyRef::Name(key.name) } else { tensoratom::KeyRef::Int(key.number) }
}

pub(crate) fn owned_key(key: &Key) -> ffi::OwnedKey {
    match key {
        Key::Int(number) => ffi::OwnedKey { is_name: false, number: *number, name: String::new() },
        Key::Name(name) => ffi::OwnedKey { is_name: true, number: 0, name: name.to_string() },
    }
}

fn atom_info(info: &tensoratom::AtomInfo) -> ffi::AtomInfo {
    ffi::AtomInfo {
        key: owned_key(&info.key),
        dtype: info.dtype.number(),
        shape: info.shape.clone(),
        bytes: info.bytes,
        digest: info.digest.to_string(),
        has_metadata: info.metadata.is_some(),
        metadata: info.metadata.clone().unwrap_or_default(),
        encoding: owned_encoding(&info.encoding),
        lsn: info.lsn,
        created_us: info.created_us,
    }
}

fn owned_encoding(encoding: &Encoding) -> ffi::Encoding {
    let mut out = ffi::Encoding::default();
    match encoding {
        Encoding::Blocks { layout, elements, bytes } => {
            (out.kind, out.layout) = (1, layout.clone());
            (out.block_elements, out.block_bytes) = (*elements, *bytes);
        }
        Encoding::Quantized { block, scale, zero_point } => {
            (out.kind, out.block) = (2, *block);
            (out.scale, out.zero_point) = (scale.clone(), zero_point.clone());
        }
        _ => {}
    }
    out
}

fn sql_value(value: tensoratom::SqlValue) -> ffi::SqlValue {
    use tensoratom::SqlValue as V;
    let mut out = ffi::SqlValue { kind: 0, integer: 0, real: 0.0, text: String::new(), blob: Vec::new() };
    match value {
        V::Null => {}
        V::Integer(integer) => (out.kind, out.integer) = (1, integer),
        V::Real(real) => (out.kind, out.real) = (2, real),
        V::Text(text) => (out.kind, out.text) = (3, text),
        V::Blob(blob) => (out.kind, out.blob) = (4, blob),
    }
    out
}

fn to_options(o: &ffi::OpenOptions) -> Result<Options> {
    let mut options = Options::new().read_only(o.read_only);
    if o.positioned {
        options = options.read_mode(ReadMode::Positioned);
    }
    if o.process_durability {
        options = options.durability(tensoratom::Durability::Process);
    }
    if o.segment_bytes != 0 {
        options = options.segment_bytes(o.segment_bytes);
    }
    if o.chunk_bytes != 0 {
        options = options.chunk_bytes(o.chunk_bytes);
    }
    if o.cache_bytes != 0 {
        options = options.cache_bytes(o.cache_bytes);
    }
    if o.threads != 0 {
        options = options.threads(o.threads);
    }
    if o.lock_timeout_ms != 0 {
        options = options.lock_timeout(Duration::from_millis(o.lock_timeout_ms));
    }
    if o.has_hot_bytes {
        options = options.hot_bytes(o.hot_bytes);
    }
    if !o.cold_directory.is_empty() {
        options = options.cold_directory(to_path(&o.cold_directory)?);
    }
    Ok(options)
}

#[cfg(unix)]
pub(crate) fn to_path(bytes: &[u8]) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    if bytes.contains(&0) {
        return Err(Error::invalid_argument("a path holds a NUL"));
    }
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
pub(crate) fn to_path(bytes: &[u8]) -> Result<PathBuf> {
    std::str::from_utf8(bytes).map(PathBuf::from).map_err(|_| Error::invalid_argument("a path is not UTF-8"))
}
