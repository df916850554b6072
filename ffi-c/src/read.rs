//! Reading atoms: descriptor, metadata, bytes copied or mapped, listings. From a store (newest commit) or a snapshot.

use std::ffi::{c_char, c_void};

use engine::kernels::quantize::dequantize_payload;
use engine::{AtomInfo, Bytes, ListOptions, Payload, RANK_MAX, Snapshot, Store};

use crate::listing::Listing;
use crate::memory::{One, Out, apart, output, required, span, structure, text};
use crate::options::{address, name, ta_key};
use crate::prefix::{namespace, scoped};
use crate::txn::Txn;
use crate::wall::{Failure, Outcome, ta_error, wall};
use crate::{cancel, handle};

/// Descriptor of an atom.
#[repr(C)]
pub struct ta_info {
    /// Element type.
    pub dtype: u32,
    /// Number of dimensions.
    pub rank: u32,
    /// Dimensions, outermost first; 0 behind `rank`.
    pub shape: [u64; 64],
    /// Bytes of the payload.
    pub bytes: u64,
    /// Commit that made this version.
    pub lsn: u64,
    /// Time of that commit.
    pub created_us: u64,
    /// BLAKE3-256 of the payload.
    pub digest: [u8; 32],
}

const _: () = assert!(RANK_MAX == 64);

fn info(info: &AtomInfo) -> ta_info {
    let mut shape = [0; 64];
    for (place, &side) in shape.iter_mut().zip(&info.shape) {
        *place = side;
    }
    ta_info {
        dtype: u32::from(info.dtype.number()),
        rank: info.shape.len() as u32,
        shape,
        bytes: info.bytes,
        lsn: info.lsn,
        created_us: info.created_us,
        digest: info.digest.0,
    }
}

/// Runs with the payload of a key in a store, in a snapshot, or as a transaction sees it. That waits meanwhile: what it staged
/// and takes back is written over.
pub(crate) fn with_payload<R>(from: u64, key: *const ta_key, body: impl FnOnce(&Payload) -> Outcome<R>) -> Outcome<R> {
    if handle::claims::<Txn>(from) {
        let key = required(key, "the key")?;
        return handle::get::<Txn>(from)?.with(|store, txn| body(&txn.get(address(store, &key)?)?));
    }
    body(&committed(from, key)?)
}

/// The payload of a key in a store or in a snapshot.
fn committed(from: u64, key: *const ta_key) -> Outcome<Payload> {
    let key = required(key, "the key")?;
    if handle::claims::<Snapshot>(from) {
        let snapshot = handle::get::<Snapshot>(from)?;
        return Ok(snapshot.get(address(snapshot.store(), &key)?)?);
    }
    let store = handle::get::<Store>(from)?;
    Ok(store.get(address(&store, &key)?)?)
}

/// Descriptor of an atom. TA_NOT_FOUND where there is none. `from` is a store, a snapshot, or a transaction: that shows what it
/// has put, with `lsn` and `created_us` of 0, and for the rest the store as it was when the transaction began.
#[unsafe(no_mangle)]
pub extern "C" fn ta_get_info(from: u64, key: *const ta_key, info: *mut ta_info, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(info)?;
        out.set(with_payload(from, key, |payload| Ok(self::info(payload.info())))?)
    })
}

/// Metadata of an atom, the JSON text that was given; empty where none was.
#[unsafe(no_mangle)]
pub extern "C" fn ta_get_metadata(
    from: u64,
    key: *const ta_key,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = Out::text(out, capacity, length)?;
        with_payload(from, key, |payload| out.fill(payload.info().metadata.as_deref().unwrap_or("").as_bytes()))
    })
}

/// Reads `count` verified bytes from `offset` into memory of the caller; `from` as in ta_get_info. TA_INVALID_ARGUMENT beyond
/// the end. After an error what `out` holds is undefined: chunks are verified where they are read to, and a later one may be
/// damaged.
#[unsafe(no_mangle)]
pub extern "C" fn ta_read(
    from: u64,
    key: *const ta_key,
    offset: u64,
    out: *mut c_void,
    count: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        // The place last, so that nothing of the key is looked at once bytes are written.
        with_payload(from, key, |payload| Ok(payload.read_into(offset, output(out.cast::<u8>(), count)?)?))
    })
}

/// As ta_read, ended with TA_CANCELLED within 4 MiB once the cancel handle is set or its deadline has passed.
#[unsafe(no_mangle)]
pub extern "C" fn ta_read_with(
    from: u64,
    key: *const ta_key,
    offset: u64,
    out: *mut c_void,
    count: u64,
    cancel: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let flag = cancel::flag(cancel)?;
        with_payload(from, key, |payload| {
            Ok(payload.read_into_within(offset, output(out.cast::<u8>(), count)?, &cancel::control(&flag))?)
        })
    })
}

/// Reads all elements of an atom as f32, whatever its type and encoding: floats are rounded, integers converted, codes of
/// TA_QUANTIZED scaled, blocks of a GGUF layout decoded. `count` must be the number of its elements. Ended with TA_CANCELLED
/// soon after the cancel handle is set or its deadline has passed.
#[unsafe(no_mangle)]
pub extern "C" fn ta_read_f32(
    from: u64,
    key: *const ta_key,
    out: *mut f32,
    count: u64,
    cancel: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let flag = cancel::flag(cancel)?;
        with_payload(from, key, |payload| {
            let (info, control) = (payload.info(), cancel::control(&flag));
            let bytes = payload.range_within(0..payload.len(), &control)?;
            Ok(dequantize_payload(info.dtype, &info.shape, &info.encoding, &bytes, output(out, count)?)?)
        })
    })
}

/// Lends `count` verified bytes from `offset`, UINT64_MAX for all up to the end, without a copy where payloads are mapped.
/// `from` is a store or a snapshot: what a transaction has put is read, or lent once it is committed.
/// They stay at `data` until ta_close of `mapping`. NULL where there are none.
#[unsafe(no_mangle)]
pub extern "C" fn ta_map(
    from: u64,
    key: *const ta_key,
    offset: u64,
    count: u64,
    data: *mut *const c_void,
    bytes: *mut u64,
    mapping: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_map_with(from, key, offset, count, 0, data, bytes, mapping, error)
}

/// As ta_map, ended with TA_CANCELLED within 64 MiB of what is touched for the first time once the cancel handle is set or
/// its deadline has passed.
#[unsafe(no_mangle)]
pub extern "C" fn ta_map_with(
    from: u64,
    key: *const ta_key,
    offset: u64,
    count: u64,
    cancel: u64,
    data: *mut *const c_void,
    bytes: *mut u64,
    mapping: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        apart(&[span(data, 1), span(bytes, 1), span(mapping, 1)], &[span(key, 1)])?;
        let (to_data, to_bytes, to_mapping) = (One::at(data)?, One::at(bytes)?, One::at(mapping)?);
        let (payload, flag) = (committed(from, key)?, cancel::flag(cancel)?);
        let end = if count == u64::MAX { Some(payload.len()) } else { offset.checked_add(count) };
        let end = end.ok_or_else(|| Failure::argument("offset and count are beyond 64 bits"))?;
        let lent: Bytes = payload.range_within(offset..end, &cancel::control(&flag))?;
        let (address, len) = (lent.as_ptr().cast::<c_void>(), lent.len() as u64);
        to_mapping.set(handle::add(handle::tag(from), lent)?)?;
        to_bytes.set(len)?;
        to_data.set(if len == 0 { std::ptr::null() } else { address })
    })
}

/// A listing of atoms that is under way.
pub(crate) type List = Listing<engine::Atoms, AtomInfo>;

/// Lists the atoms whose names start with a prefix, and without one those with numbers first. Take them with ta_list_next.
#[unsafe(no_mangle)]
pub extern "C" fn ta_list(
    snapshot: u64,
    prefix: *const c_char,
    prefix_length: u64,
    list: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_list_after(snapshot, std::ptr::null(), 0, prefix, prefix_length, std::ptr::null(), list, error)
}

/// As ta_list_in, of what comes behind a key, be that there or not: whoever took a part of a long list before goes on so. The
/// `ns` of `after` is not looked at; NULL begins at the front.
#[unsafe(no_mangle)]
pub extern "C" fn ta_list_after(
    snapshot: u64,
    ns: *const c_char,
    ns_length: u64,
    prefix: *const c_char,
    prefix_length: u64,
    after: *const ta_key,
    list: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (out, engine) = (One::at(list)?, handle::get::<Snapshot>(snapshot)?);
        let options = ListOptions::new().prefix(text(prefix, prefix_length)?);
        let options = match structure(after)? {
            Some(key) => options.after(name(&key)?.to_key()),
            None => options,
        };
        let atoms = scoped(&engine, namespace(engine.store(), ns, ns_length)?).iter(&options);
        out.set(handle::add(handle::tag(snapshot), List::new(atoms))?)
    })
}

/// The next atom: its descriptor in `info`, its key as JSON (a string or a number) in `key`, 8 KiB at most.
/// TA_NOT_FOUND behind the last one. An atom stays the next one while only the size of its key is asked, or it does not fit.
#[unsafe(no_mangle)]
pub extern "C" fn ta_list_next(
    list: u64,
    info: *mut ta_info,
    key: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        apart(&[span(info, 1), span(key.cast::<u8>(), capacity), span(length, 1)], &[])?;
        let (to_info, to_key) = (One::at(info)?, Out::text(key, capacity, length)?);
        let list = handle::get::<List>(list)?;
        let end = "the list has no more atoms";
        to_info.set(list.next((to_key, key.is_null()), end, |atom| &atom.key, self::info)?)
    })
}
