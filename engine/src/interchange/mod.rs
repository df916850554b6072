//! Files of other formats, in and out: safetensors, NumPy `.npy`, raw bytes. Formats are parsed by their own crates;
//! every length is checked against the file before anything is stored.

mod npy;
mod raw;
mod safetensors;
mod source;

use std::path::Path;

use serde::Serialize;

use crate::control::Control;
use crate::dtype::{DType, Encoding};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::store::{Address, Namespace, PutOptions, Snapshot, Store, WriteTxn};

pub use npy::NpyArray;

use source::Source;

/// Format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// Hugging Face safetensors: many named tensors.
    Safetensors,
    /// NumPy: one array.
    Npy,
}

impl FileFormat {
    /// The format a file name's extension stands for.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "safetensors" => Some(FileFormat::Safetensors),
            "npy" => Some(FileFormat::Npy),
            _ => None,
        }
    }
}

/// What to import, and where to.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    prefix: String,
    namespace: u32,
    format: Option<FileFormat>,
}

impl ImportOptions {
    /// Into the default namespace, keys as in the file, format by the file's extension.
    pub fn new() -> Self {
        Self::default()
    }

    /// Put in front of every key. Taken literally: end it with `/` if you want one.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Into another namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &Namespace) -> Self {
        self.namespace = namespace.key(0).namespace;
        self
    }

    /// The file's format, whatever its name says.
    #[must_use]
    pub fn format(mut self, format: FileFormat) -> Self {
        self.format = Some(format);
        self
    }
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Atoms put.
    pub atoms: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Payload bytes of the atoms.
    pub payload_bytes: u64,
    /// Of these, bytes that the namespace did not hold before.
    pub new_bytes: u64,
    /// Commit that made them visible; 0 while the transaction is open.
    pub lsn: u64,
}

/// What to export.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    prefix: String,
    file_name: Option<String>,
}

impl ExportOptions {
    /// Everything in the namespace of the snapshot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names that start with this, which is taken off in the file.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Which of several files imported under the prefix, by the name it had.
    #[must_use]
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = Some(name.into());
        self
    }
}

/// What an export did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// Tensors written.
    pub atoms: u64,
    /// Length of the file.
    pub file_bytes: u64,
    /// True when the header is the one of the file once imported: the file is then the same bit for bit as long as the
    /// tensors are. False when it was made anew because tensors were added, removed or changed in type or shape.
    pub header_kept: bool,
}

impl WriteTxn {
    /// Puts everything in a file into this transaction. The file is checked as a whole before the first byte is stored.
    ///
    /// Reads with positioned reads, in bounded memory, hashing and writing while it reads on. Fails with `BadFile` for a
    /// file that contradicts itself, `InvalidKey` for a name that is no key; the transaction should then be dropped.
    pub fn import_file(
        &mut self,
        path: impl AsRef<Path>,
        options: &ImportOptions,
        control: &Control<'_>,
    ) -> Result<ImportReport> {
        let path = path.as_ref();
        Source::open(path)
            .and_then(|source| self.import_source(&source, path, options, control))
            .map_err(|e| e.during("import").at_path(path))
    }

    fn import_source(
        &mut self,
        source: &Source,
        path: &Path,
        options: &ImportOptions,
        control: &Control<'_>,
    ) -> Result<ImportReport> {
        match options.format.or_else(|| FileFormat::of_path(path)) {
            Some(FileFormat::Safetensors) => safetensors::import(self, source, options, control),
            Some(FileFormat::Npy) => npy::import(self, source, options, control),
            None => Err(Error::new(ErrorKind::InvalidArgument, "the format cannot be told from the file's name")
                .hint("use a name ending in .safetensors or .npy, or put the raw bytes with their type and shape")),
        }
    }

    /// Imports a file of any volume. For tests.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn import_open_file(
        &mut self,
        file: std::sync::Arc<dyn crate::file::File>,
        path: &Path,
        options: &ImportOptions,
    ) -> Result<ImportReport> {
        self.import_source(&Source::of(file, path)?, path, options, &Control::new())
    }

    /// Puts a file of raw bytes, whose type and shape the caller knows, under one key.
    pub fn put_raw_file<'k>(
        &mut self,
        key: impl Into<Address<'k>>,
        path: impl AsRef<Path>,
        dtype: DType,
        shape: &[u64],
        encoding: &Encoding,
        options: &PutOptions,
    ) -> Result<()> {
        let address = key.into();
        let path = path.as_ref();
        Source::open(path)
            .and_then(|source| raw::put(self, address, &source, dtype, shape, encoding, options))
            .map_err(|e| e.during("put").key(address.key).at_path(path))
    }

    /// Puts the array of an `.npy` file under one key.
    pub fn put_npy_file<'k>(
        &mut self,
        key: impl Into<Address<'k>>,
        path: impl AsRef<Path>,
        options: &PutOptions,
    ) -> Result<()> {
        let address = key.into();
        let path = path.as_ref();
        Source::open(path)
            .and_then(|source| npy::put(self, address, &source, options))
            .map_err(|e| e.during("put").key(address.key).at_path(path))
    }
}

impl Store {
    /// Imports one file in a transaction of its own: all of it becomes visible at once, or nothing does.
    pub fn import_file(
        &self,
        path: impl AsRef<Path>,
        options: &ImportOptions,
        control: &Control<'_>,
    ) -> Result<ImportReport> {
        self.import_files(&[path], options, control)
    }

    /// Imports several files, say the shards of one model, in one transaction.
    pub fn import_files<P: AsRef<Path>>(
        &self,
        paths: &[P],
        options: &ImportOptions,
        control: &Control<'_>,
    ) -> Result<ImportReport> {
        let mut txn = self.begin()?;
        let mut sum = ImportReport::default();
        for path in paths {
            let report = txn.import_file(path, options, control)?;
            sum.atoms += report.atoms;
            sum.file_bytes += report.file_bytes;
            sum.payload_bytes += report.payload_bytes;
            sum.new_bytes += report.new_bytes;
        }
        sum.lsn = txn.commit_within(control)?;
        Ok(sum)
    }

    /// Writes current atoms of the default namespace into a safetensors file. See [`Snapshot::export_file`].
    pub fn export_file(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
        control: &Control<'_>,
    ) -> Result<ExportReport> {
        self.snapshot()?.export_file(path, options, control)
    }
}

impl Snapshot {
    /// Writes atoms into a safetensors file, which appears complete and synced or not at all. Every byte is verified
    /// on its way. A file that was imported comes out the same bit for bit, header text, order and padding included.
    pub fn export_file(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
        control: &Control<'_>,
    ) -> Result<ExportReport> {
        let path = path.as_ref();
        safetensors::export(self, path, options, control).map_err(|e| e.during("export").at_path(path))
    }

    /// Writes one atom into an `.npy` file. bf16 and 8-bit floats, which NumPy lacks, are written as unsigned integers
    /// of their size. Fails with `Unsupported` for packed bits and opaque blocks.
    pub fn export_npy<'k>(&self, key: impl Into<Address<'k>>, path: impl AsRef<Path>) -> Result<()> {
        let (address, path) = (key.into(), path.as_ref());
        let payload = self.get(address)?;
        npy::write(&payload, path).map_err(|e| e.during("export").key(address.key).at_path(path))
    }
}

/// A file that contradicts itself.
fn bad_file(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadFile, what).hint("nothing was stored; get the file again or check how it was made")
}

/// The key of a tensor of a file.
fn prefixed(prefix: &str, name: &str) -> Result<Key> {
    let key = Key::from(format!("{prefix}{name}"));
    key.as_ref().check().map(|()| key)
}
