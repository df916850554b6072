//! Transactions and the writers of single tensors, as C++ calls them.

use tensoratom::{Control, Encoding, Error, Expect, Key, PayloadWriter, Result, Tensor, WriteTxn};

use crate::bridge::ffi;
use crate::bridge::ffi::{Failure, Listener};
use crate::store::{Payload, Scope, import_report, to_path};
use crate::wall::{Cancel, Failed, controlled, dtype, wall};

pub(crate) struct Txn(pub(crate) WriteTxn);
pub(crate) struct Writer<'a>(PayloadWriter<'a>);

impl Txn {
    #[allow(clippy::too_many_arguments)] // the bridge has no overloads and no default arguments
    pub(crate) fn txn_put(
        &mut self,
        scope: &Scope,
        key: ffi::KeyRef<'_>,
        dtype_number: u8,
        shape: &[u64],
        bytes: &[u8],
        options: ffi::PutOptions<'_>,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        wall(failure, || {
            let tensor = Tensor::encoded(dtype(dtype_number)?, shape, encoding(&options.encoding)?, bytes)?;
            let options = put_options(&options)?;
            let put = |control: Control<'_>| self.0.put_within(scope.address(key), &tensor, &options, &control);
            controlled(listener, cancel, put)
        })
    }

    pub(crate) fn txn_set_metadata(
        &mut self,
        scope: &Scope,
        key: ffi::KeyRef<'_>,
        has_metadata: bool,
        metadata: &str,
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        wall(failure, || self.0.set_metadata(scope.address(key), has_metadata.then_some(metadata)))
    }

    pub(crate) fn txn_delete_version(
        &mut self,
        scope: &Scope,
        key: ffi::KeyRef<'_>,
        lsn: u64,
        failure: &mut Failure,
    ) -> Result<bool, Failed> {
        wall(failure, || self.0.delete_with(scope.address(key), Expect::Version(lsn)))
    }

    pub(crate) fn txn_delete_prefix(
        &mut self,
        scope: &Scope,
        prefix: &str,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<u64, Failed> {
        let delete = |control: Control<'_>| self.0.delete_prefix_within(scope.namespace.as_ref(), prefix, &control);
        wall(failure, || controlled(listener, cancel, delete))
    }

    pub(crate) fn txn_delete(
        &mut self,
        scope: &Scope,
        key: ffi::KeyRef<'_>,
        failure: &mut Failure,
    ) -> Result<bool, Failed> {
        wall(failure, || self.0.delete(scope.address(key)))
    }

    pub(crate) fn txn_rename(
        &mut self,
        scope: &Scope,
        from: ffi::KeyRef<'_>,
        to: ffi::KeyRef<'_>,
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        wall(failure, || self.0.rename(scope.address(from), scope.address(to)))
    }

    #[allow(clippy::too_many_arguments)] // the bridge has no overloads and no default arguments
    pub(crate) fn txn_import(
        &mut self,
        scope: &Scope,
        path: &[u8],
        prefix: &str,
        format: u8,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<ffi::ImportReport, Failed> {
        wall(failure, || {
            let (path, options) = (to_path(path)?, scope.import_options(prefix, format)?);
            let import = |control: Control<'_>| self.0.import_file(path, &options, &control);
            Ok(import_report(controlled(listener, cancel, import)?))
        })
    }

    pub(crate) fn txn_get(
        &mut self,
        scope: &Scope,
        key: ffi::KeyRef<'_>,
        failure: &mut Failure,
    ) -> Result<Box<Payload>, Failed> {
        wall(failure, || Ok(Box::new(Payload::of(self.0.get(scope.address(key))?))))
    }
}

// A `Box` is what C++ holds and hands over.
#[allow(clippy::boxed_local)]
pub(crate) fn txn_commit(
    txn: Box<Txn>,
    listener: &Listener,
    cancel: &Cancel,
    failure: &mut Failure,
) -> Result<u64, Failed> {
    wall(failure, || controlled(listener, cancel, |control| txn.0.commit_within(&control)))
}

#[allow(clippy::too_many_arguments)] // the bridge has no overloads and no default arguments
pub(crate) fn txn_writer<'a>(
    txn: &'a mut Txn,
    scope: &Scope,
    key: ffi::KeyRef<'_>,
    dtype_number: u8,
    shape: &[u64],
    open_rows: bool,
    options: ffi::PutOptions<'_>,
    failure: &mut Failure,
) -> Result<Box<Writer<'a>>, Failed> {
    wall(failure, || {
        let mut shape: Vec<Option<u64>> = shape.iter().copied().map(Some).collect();
        if open_rows {
            shape.insert(0, None);
        }
        let (dtype, encoding) = (dtype(dtype_number)?, encoding(&options.encoding)?);
        let writer = txn.0.writer_encoded(scope.address(key), dtype, &shape, encoding, &put_options(&options)?)?;
        Ok(Box::new(Writer(writer)))
    })
}

impl Writer<'_> {
    pub(crate) fn append(
        &mut self,
        bytes: &[u8],
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        wall(failure, || controlled(listener, cancel, |control| self.0.append_within(bytes, &control)))
    }
}

// A `Box` is what C++ holds and hands over.
#[allow(clippy::boxed_local)]
pub(crate) fn writer_finish(writer: Box<Writer<'_>>, failure: &mut Failure) -> Result<(), Failed> {
    wall(failure, || writer.0.finish())
}

fn put_options(options: &ffi::PutOptions<'_>) -> Result<tensoratom::PutOptions> {
    let expect = match options.expect {
        0 => Expect::Any,
        1 => Expect::Absent,
        2 => Expect::Version(options.expect_lsn),
        other => return Err(Error::invalid_argument(format!("no expectation has number {other}"))),
    };
    let parent =
        |key: &ffi::OwnedKey| if key.is_name { Key::Name(key.name.as_str().into()) } else { Key::Int(key.number) };
    let put = tensoratom::PutOptions::new().expect(expect).parents(options.parents.iter().map(parent));
    Ok(if options.metadata.is_empty() { put } else { put.metadata(options.metadata) })
}

fn encoding(e: &ffi::Encoding) -> Result<Encoding> {
    match e.kind {
        0 => Ok(Encoding::Plain),
        1 => Ok(Encoding::Blocks { layout: e.layout.clone(), elements: e.block_elements, bytes: e.block_bytes }),
        2 => Ok(Encoding::Quantized { block: e.block, scale: e.scale.clone(), zero_point: e.zero_point.clone() }),
        other => Err(Error::invalid_argument(format!("no encoding has number {other}"))),
    }
}
