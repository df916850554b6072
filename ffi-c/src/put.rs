//! Putting with all that an atom can have: encoding, parents, a condition, a deadline; and what was put read back.

use std::ffi::{c_char, c_void};

use engine::{Encoding, ErrorKind, Expect, Key, PutOptions, Tensor};
use serde_json::json;

use crate::handle;
use crate::math::dtype;
use crate::memory::{One, Plain, input, optional_text, required, structure, text, zeroed};
use crate::options::{address, shape, ta_key, ta_tensor};
use crate::read::with_payload;
use crate::txn::{Txn, metadata, stream, ta_source};
use crate::wall::{Failure, Outcome, ta_error, wall};
use crate::{cancel, report};

/// The elements are the values.
pub const TA_PLAIN: u32 = 0;
/// Blocks of a named layout, of the type TA_OPAQUE.
pub const TA_BLOCKS: u32 = 1;
/// Integers that stand for reals: value = scale * (element - zero point).
pub const TA_QUANTIZED: u32 = 2;

/// The key may be there or not.
pub const TA_EXPECT_ANY: u32 = 0;
/// The key must not be there at the commit, which is TA_ALREADY_EXISTS otherwise.
pub const TA_EXPECT_ABSENT: u32 = 1;
/// The key must have the version that the commit `expect_lsn` made; the commit is TA_CONFLICT otherwise.
pub const TA_EXPECT_VERSION: u32 = 2;

/// How elements are to be understood. All zero is plain; members of other kinds are not looked at.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ta_encoding {
    /// TA_PLAIN, TA_BLOCKS or TA_QUANTIZED.
    pub kind: u32,
    /// Of quantised elements: how many share a scale; 0 for all.
    pub block: u32,
    /// One scale per block.
    pub scale: *const f32,
    /// Number of scales.
    pub scale_count: u64,
    /// One zero point per block, or NULL for symmetric codes.
    pub zero_point: *const i32,
    /// Number of zero points: that of scales, or 0.
    pub zero_point_count: u64,
    /// Of blocks: name of the layout (`Q4_0`).
    pub layout: *const c_char,
    /// Its bytes.
    pub layout_length: u64,
    /// Elements in a block.
    pub block_elements: u32,
    /// Bytes in a block.
    pub block_bytes: u32,
}

/// What ta_put_with takes besides the tensor. All zero is the default, and so is NULL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ta_put_options {
    /// One JSON object, at most 1 MiB, or NULL.
    pub metadata: *const c_char,
    /// Its bytes.
    pub metadata_length: u64,
    /// Keys that this atom was made from, in its namespace: their `ns` is NULL. They must exist at the commit.
    pub parents: *const ta_key,
    /// Number of parents.
    pub parent_count: u64,
    /// NULL for plain.
    pub encoding: *const ta_encoding,
    /// TA_EXPECT_ANY, TA_EXPECT_ABSENT or TA_EXPECT_VERSION.
    pub expect: u32,
    /// The version expected.
    pub expect_lsn: u64,
}

impl Plain for ta_key {}

/// Puts a tensor with options. A set cancel handle, or its deadline, ends the call with TA_CANCELLED within 4 MiB; the
/// transaction is as it was then.
#[unsafe(no_mangle)]
pub extern "C" fn ta_put_with(
    txn: u64,
    key: *const ta_key,
    tensor: *const ta_tensor,
    options: *const ta_put_options,
    cancel: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (key, tensor) = (required(key, "the key")?, required(tensor, "the tensor")?);
        let (options, encoding) = put_options(options)?;
        let (sides, bytes) = (shape(tensor.shape, tensor.rank)?, input(tensor.data.cast::<u8>(), tensor.bytes)?);
        let tensor = Tensor::encoded(dtype(tensor.dtype)?, sides, encoding, bytes)?;
        let flag = cancel::flag(cancel)?;
        handle::get::<Txn>(txn)?
            .with(|store, txn| Ok(txn.put_within(address(store, &key)?, &tensor, &options, &cancel::control(&flag))?))
    })
}

/// As ta_put_stream with options, given up with TA_CANCELLED before the next block is asked for once the cancel handle is set
/// or its deadline has passed; the transaction is as it was then.
#[unsafe(no_mangle)]
pub extern "C" fn ta_put_stream_with(
    txn: u64,
    key: *const ta_key,
    dtype: u32,
    shape: *const u64,
    rank: u32,
    options: *const ta_put_options,
    source: ta_source,
    context: *mut c_void,
    cancel: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || stream(txn, key, dtype, self::shape(shape, rank)?, put_options(options)?, (source, context), cancel))
}

/// As ta_commit, given up with TA_CANCELLED where the cancel handle is set, or its deadline has passed, before the last sync
/// of its segments is done: while it waits for its turn or for other processes, and between two syncs; then the
/// transaction is taken back. One that shares its syncs with commits of other threads is brought to its end with them.
#[unsafe(no_mangle)]
pub extern "C" fn ta_commit_with(txn: u64, cancel: u64, lsn: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = if lsn.is_null() { None } else { Some(One::at(lsn)?) };
        let flag = cancel::flag(cancel)?;
        let lsn = handle::get::<Txn>(txn)?.take()?.commit_within(&cancel::control(&flag))?;
        out.map_or(Ok(()), |out| out.set(lsn))
    })
}

/// How the elements of an atom are to be understood, as a JSON object: its `kind` is `plain`, `blocks` or `quantized`.
#[unsafe(no_mangle)]
pub extern "C" fn ta_get_encoding(
    from: u64,
    key: *const ta_key,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    report::answer(error, (out, capacity, length), || {
        with_payload(from, key, |payload| Ok(json!(payload.info().encoding)))
    })
}

fn put_options(pointer: *const ta_put_options) -> Outcome<(PutOptions, Encoding)> {
    let mut options = PutOptions::new();
    let Some(c) = structure(pointer)? else { return Ok((options, Encoding::Plain)) };
    if let Some(json) = metadata(c.metadata, c.metadata_length)? {
        options = options.metadata(json);
    }
    let expect = match c.expect {
        TA_EXPECT_ANY => Expect::Any,
        TA_EXPECT_ABSENT => Expect::Absent,
        TA_EXPECT_VERSION => Expect::Version(c.expect_lsn),
        other => return Err(Failure::argument(format!("no expectation has the number {other}"))),
    };
    let given = input(c.parents, c.parent_count)?;
    let mut parents: Vec<Key> = Vec::new();
    parents.try_reserve(given.len()).map_err(|_| Failure::of(ErrorKind::OutOfMemory, "no memory for the parents"))?;
    for key in given {
        parents.push(parent(key)?);
    }
    Ok((options.expect(expect).parents(parents), encoding(c.encoding)?))
}

fn parent(key: &ta_key) -> Outcome<Key> {
    if key.ns_length != 0 {
        return Err(Failure::argument("a parent lies in the namespace of its child; pass no other"));
    }
    Ok(optional_text(key.name, key.name_length)?.map_or(Key::Int(key.number), |name| Key::Name(name.into())))
}

fn encoding(pointer: *const ta_encoding) -> Outcome<Encoding> {
    let Some(c) = structure(pointer)? else { return Ok(Encoding::Plain) };
    match c.kind {
        TA_PLAIN => Ok(Encoding::Plain),
        TA_BLOCKS => {
            let layout = text(c.layout, c.layout_length)?.to_owned();
            Ok(Encoding::Blocks { layout, elements: c.block_elements, bytes: c.block_bytes })
        }
        TA_QUANTIZED => {
            let (scale, zero_point) = (copied(c.scale, c.scale_count)?, copied(c.zero_point, c.zero_point_count)?);
            Ok(Encoding::Quantized { block: c.block, scale, zero_point })
        }
        other => Err(Failure::argument(format!("no encoding has the number {other}"))),
    }
}

/// A copy of numbers of the caller.
fn copied<T: Plain + Default>(pointer: *const T, count: u64) -> Outcome<Vec<T>> {
    let lent = input(pointer, count)?;
    let mut own = zeroed(lent.len())?;
    own.copy_from_slice(lent);
    Ok(own)
}
