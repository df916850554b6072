//! Payloads written piece by piece, of unknown length, in bounded memory.

use std::io;

use crate::dtype::{DType, Encoding, byte_len};
use crate::error::{Error, ErrorKind, Result};
use crate::segment::{Description, Stream};

use super::snapshot::Address;
use super::staging::{Content, StagedPayload, StagedVersion};
use super::txn::{PutOptions, WriteTxn, close_shape};

/// Writes one payload into a transaction. Hashes and writes blocks of 4 MiB on all cores while more arrives.
///
/// Also a [`std::io::Write`]. Dropped without [`PayloadWriter::finish`], the payload is given up; the transaction goes
/// on. The new version is part of the transaction only after `finish`.
#[derive(Debug)]
pub struct PayloadWriter<'t> {
    txn: &'t mut WriteTxn,
    stream: Option<Stream>,
    namespace: u32,
    key: crate::key::Key,
    dtype: DType,
    shape: Vec<Option<u64>>,
    encoding: Encoding,
    options: PutOptions,
}

impl<'t> PayloadWriter<'t> {
    pub(crate) fn encoded(
        txn: &'t mut WriteTxn,
        address: Address<'_>,
        dtype: DType,
        shape: &[Option<u64>],
        encoding: Encoding,
        options: &PutOptions,
    ) -> Result<Self> {
        if shape.iter().skip(1).any(Option::is_none) {
            return Err(Error::new(ErrorKind::InvalidShape, "only the first dimension may be left open"));
        }
        let rows_of_one: Vec<u64> = shape.iter().map(|dim| dim.unwrap_or(1)).collect();
        byte_len(dtype, &rows_of_one, &encoding)?;
        txn.check_new_version(address, &encoding, options)?;
        let mut writer = PayloadWriter {
            txn,
            stream: None,
            namespace: address.namespace,
            key: address.key.to_key(),
            dtype,
            shape: shape.to_vec(),
            encoding,
            options: options.clone(),
        };
        writer.open_stream()?;
        Ok(writer)
    }

    fn address(&self) -> Address<'_> {
        Address { namespace: self.namespace, key: self.key.as_ref() }
    }

    fn open_stream(&mut self) -> Result<()> {
        let version =
            self.version(self.shape.iter().map(|dim| dim.unwrap_or(0)).collect(), crate::digest::Digest([0; 32]), 0);
        let description: Description = self.txn.describe(self.address(), &version);
        let known = self.shape.iter().copied().collect::<Option<Vec<u64>>>();
        let bytes = known.map(|shape| byte_len(self.dtype, &shape, &self.encoding)).transpose()?;
        let appender = self.txn.appender_for(&description, bytes)?;
        match appender.stream(description) {
            Ok(stream) => {
                self.stream = Some(stream);
                Ok(())
            }
            Err(failed) => {
                let (appender, error) = *failed;
                self.txn.staged().appenders.push(appender);
                Err(error)
            }
        }
    }

    fn version(&self, shape: Vec<u64>, digest: crate::digest::Digest, raw_bytes: u64) -> StagedVersion {
        StagedVersion {
            dtype: self.dtype,
            shape,
            encoding: self.encoding.clone(),
            metadata: self.options.metadata.clone(),
            digest,
            raw_bytes,
            parents: self.options.parents.clone(),
        }
    }

    /// Bytes written so far.
    pub fn len_bytes(&self) -> u64 {
        self.stream.as_ref().map_or(0, Stream::len_bytes)
    }

    /// Appends bytes. After an error the payload is given up.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let mut stream =
            self.stream.take().ok_or_else(|| Error::new(ErrorKind::Closed, "the writer failed earlier"))?;
        let limit = crate::dtype::PAYLOAD_BYTES_MAX;
        let outcome = if stream.len_bytes().saturating_add(bytes.len() as u64) > limit {
            Err(Error::new(ErrorKind::InvalidShape, format!("a payload may have {limit} bytes at most")))
        } else {
            self.txn.store().inner.segments.pool().and_then(|pool| stream.write(bytes, pool))
        };
        match outcome {
            Ok(()) => {
                self.stream = Some(stream);
                Ok(())
            }
            Err(error) => {
                self.txn.staged().appenders.push(stream.abandon());
                Err(error.during("put").key(&self.key))
            }
        }
    }

    /// Takes back what was written; later calls fail with `Closed`.
    pub(super) fn give_up(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.txn.staged().appenders.push(stream.abandon());
        }
    }

    /// Ends the payload and makes it a version in the transaction. Fails with `InvalidShape` unless the bytes written
    /// fit the shape.
    pub fn finish(mut self) -> Result<()> {
        self.finish_inner().map_err(|e| e.during("put").key(&self.key))
    }

    fn finish_inner(&mut self) -> Result<()> {
        let stream = self.stream.take().ok_or_else(|| Error::new(ErrorKind::Closed, "the writer failed earlier"))?;
        let raw_bytes = stream.len_bytes();
        let shape = match close_shape(self.dtype, &self.shape, &self.encoding, raw_bytes) {
            Ok(shape) => shape,
            Err(error) => {
                self.txn.staged().appenders.push(stream.abandon());
                return Err(error);
            }
        };
        let mark = stream.mark();
        let segments = std::sync::Arc::clone(&self.txn.store().inner.segments);
        let (mut appender, written) = stream.finish(shape.clone(), segments.pool()?);
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                self.txn.staged().appenders.push(appender);
                return Err(error);
            }
        };
        let key = (self.namespace, written.digest);
        let in_txn = self.txn.staged().payloads.contains_key(&key);
        let (in_store, replaces) = self.txn.find_stored(self.namespace, &written.digest)?;
        let version = self.version(shape, written.digest, raw_bytes);
        let description = self.txn.describe(self.address(), &version);
        if in_txn || in_store {
            appender.take_back(mark);
        }
        self.txn.staged().appenders.push(appender);
        if !in_txn {
            let content = if in_store { Content::Existing } else { Content::Written(written) };
            let payload = StagedPayload { description, raw_bytes, content, replaces };
            self.txn.staged().payloads.insert(key, payload);
        }
        let (namespace, name) = (self.namespace, self.key.clone());
        self.txn.stage_version(Address { namespace, key: name.as_ref() }, version, self.options.expect);
        Ok(())
    }
}

impl Drop for PayloadWriter<'_> {
    fn drop(&mut self) {
        if !self.txn.store().inner.segments.fork().is_forked() {
            self.give_up();
        }
    }
}

impl io::Write for PayloadWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
