//! Transactions: put, stream, delete, rename, metadata, commit.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};

use engine::{Encoding, ErrorKind, PutOptions, Store, WriteTxn};
use parking_lot::ReentrantMutex;

use crate::math::dtype;
use crate::memory::{One, optional_document, required, size, zeroed};
use crate::options::{address, ta_key, ta_tensor, tensor};
use crate::wall::{Failure, Outcome, ta_error, wall};
use crate::{cancel, handle, options};

/// A transaction until it is committed.
pub struct Txn {
    store: Store,
    open: ReentrantMutex<RefCell<Option<WriteTxn>>>,
}

impl Txn {
    /// Runs with the transaction; calls of several threads follow one another.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&Store, &mut WriteTxn) -> Outcome<R>) -> Outcome<R> {
        let open = self.open.lock();
        let mut held = open.try_borrow_mut().map_err(|_| in_use())?;
        body(&self.store, held.as_mut().ok_or_else(committed)?)
    }

    /// The transaction, to be committed; none is left.
    pub(crate) fn take(&self) -> Outcome<WriteTxn> {
        let open = self.open.lock();
        let mut held = open.try_borrow_mut().map_err(|_| in_use())?;
        held.take().ok_or_else(committed)
    }
}

fn committed() -> Failure {
    Failure::handle("the transaction was committed")
}

/// A source that calls into its own transaction would otherwise wait for itself, for ever.
fn in_use() -> Failure {
    Failure::argument("a source uses the transaction that it gives bytes to")
}

/// Begins a transaction. ta_commit makes it durable; ta_close without a commit takes it back.
#[unsafe(no_mangle)]
pub extern "C" fn ta_begin(store: u64, txn: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(txn)?;
        let engine = handle::get::<Store>(store)?;
        let open = ReentrantMutex::new(RefCell::new(Some(engine.begin()?)));
        out.set(handle::add(handle::tag(store), Txn { store: engine.as_ref().clone(), open })?)
    })
}

/// Commits: all or nothing, durable when it returns. `lsn` (may be NULL) is the commit. The handle stays to be closed.
#[unsafe(no_mangle)]
pub extern "C" fn ta_commit(txn: u64, lsn: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = if lsn.is_null() { None } else { Some(One::at(lsn)?) };
        let lsn = handle::get::<Txn>(txn)?.take()?.commit()?;
        out.map_or(Ok(()), |out| out.set(lsn))
    })
}

/// Metadata, of which the engine says whether it is right; what is far too long is not even copied.
pub(crate) fn metadata<'a>(json: *const c_char, length: u64) -> Outcome<Option<&'a str>> {
    const MOST: u64 = 2 << 20;
    let wrong = |failure| match length > MOST {
        true => Failure::of(ErrorKind::InvalidMetadata, format!("metadata of {length} bytes; at most 1 MiB")),
        false => failure,
    };
    optional_document(json, length, MOST).map_err(wrong)
}

fn put_options(metadata: *const c_char, metadata_length: u64) -> Outcome<PutOptions> {
    let options = PutOptions::new();
    Ok(match self::metadata(metadata, metadata_length)? {
        Some(json) => options.metadata(json),
        None => options,
    })
}

/// Puts a tensor, with metadata (one JSON object) or NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ta_put(
    txn: u64,
    key: *const ta_key,
    tensor: *const ta_tensor,
    metadata: *const c_char,
    metadata_length: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (key, tensor) = (required(key, "the key")?, required(tensor, "the tensor")?);
        let options = put_options(metadata, metadata_length)?;
        let tensor = self::tensor(&tensor)?;
        handle::get::<Txn>(txn)?.with(|store, txn| Ok(txn.put_with(address(store, &key)?, &tensor, &options)?))
    })
}

/// Gives the next bytes of a payload: writes at most `capacity` bytes to `buffer` and returns how many; 0 at the end, a
/// negative number to give up. Must return (no longjmp, no exception). Its calls on the same transaction are refused with
/// TA_INVALID_ARGUMENT.
pub type ta_source = Option<extern "C" fn(context: *mut c_void, buffer: *mut u8, capacity: u64) -> i64>;

/// Puts a payload of unknown length, block by block, never whole in memory. A first dimension of UINT64_MAX follows from
/// the bytes. When the source gives up, TA_CANCELLED, and the transaction is as it was.
#[unsafe(no_mangle)]
pub extern "C" fn ta_put_stream(
    txn: u64,
    key: *const ta_key,
    dtype: u32,
    shape: *const u64,
    rank: u32,
    metadata: *const c_char,
    metadata_length: u64,
    source: ta_source,
    context: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let put = (put_options(metadata, metadata_length)?, Encoding::Plain);
        stream(txn, key, dtype, options::shape(shape, rank)?, put, (source, context), 0)
    })
}

/// Puts what a source gives, block by block.
pub(crate) fn stream(
    txn: u64,
    key: *const ta_key,
    dtype: u32,
    shape: &[u64],
    (options, encoding): (PutOptions, Encoding),
    (source, context): (ta_source, *mut c_void),
    cancel: u64,
) -> Outcome {
    let (key, dtype) = (required(key, "the key")?, self::dtype(dtype)?);
    let source = source.ok_or_else(|| Failure::argument("the source is NULL"))?;
    let shape: Vec<Option<u64>> = shape.iter().map(|&side| (side != u64::MAX).then_some(side)).collect();
    let mut block = zeroed::<u8>(256 << 10)?;
    let flag = cancel::flag(cancel)?;
    handle::get::<Txn>(txn)?.with(|store, txn| {
        let mut writer = txn.writer_encoded(address(store, &key)?, dtype, &shape, encoding, &options)?;
        loop {
            cancel::control(&flag).check()?;
            let given = source(context, block.as_mut_ptr(), block.len() as u64);
            let given = u64::try_from(given).map_err(|_| Failure::of(ErrorKind::Cancelled, "the source gave up"))?;
            if given == 0 {
                return Ok(writer.finish()?);
            }
            let bytes = block.get(..size(given)?);
            writer.append(bytes.ok_or_else(|| Failure::argument("the source gave more than fits"))?)?;
        }
    })
}

/// Deletes a key; `existed` (may be NULL) says whether it was there. Snapshots made before still show it.
#[unsafe(no_mangle)]
pub extern "C" fn ta_delete(txn: u64, key: *const ta_key, existed: *mut u32, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = if existed.is_null() { None } else { Some(One::at(existed)?) };
        let key = required(key, "the key")?;
        let was = handle::get::<Txn>(txn)?.with(|store, txn| Ok(txn.delete(address(store, &key)?)?))?;
        out.map_or(Ok(()), |out| out.set(u32::from(was)))
    })
}

/// Moves an atom to another key. No byte is written again.
#[unsafe(no_mangle)]
pub extern "C" fn ta_rename(txn: u64, from: *const ta_key, to: *const ta_key, error: *mut ta_error) -> i32 {
    wall(error, || {
        let (from, to) = (required(from, "the key")?, required(to, "the new key")?);
        handle::get::<Txn>(txn)?.with(|store, txn| Ok(txn.rename(address(store, &from)?, address(store, &to)?)?))
    })
}

/// Replaces the metadata of an atom: one JSON object, or NULL for none.
#[unsafe(no_mangle)]
pub extern "C" fn ta_set_metadata(
    txn: u64,
    key: *const ta_key,
    metadata: *const c_char,
    metadata_length: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let key = required(key, "the key")?;
        let json = self::metadata(metadata, metadata_length)?;
        handle::get::<Txn>(txn)?.with(|store, txn| Ok(txn.set_metadata(address(store, &key)?, json)?))
    })
}
