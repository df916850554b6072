//! The table behind handles: numbers that name objects and can be wrong without harm.
//!
//! A handle is type (8 bits), tag of its store (12; mixed with one of this copy of the library, so that handles of another copy
//! that the process has loaded are not taken for its own), generation (20), index (24). A slot's generation grows with each use; a slot
//! whose generations are spent is never used again, so that an old number never names a new object.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::wall::{Failure, Outcome};

const GENERATION_MAX: u64 = (1 << 20) - 1;
const SLOTS_MAX: usize = 1 << 24;

/// The lock is held for a few instructions; only a `fork` in between can leave it locked, in the child.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

macro_rules! objects {
    ($($variant:ident($type:ty) = $number:literal, $name:literal;)*) => {
        /// What handles name.
        pub(crate) enum Object {
            $($variant(Arc<$type>),)*
        }

        impl Object {
            fn number(&self) -> u64 {
                match self { $(Object::$variant(_) => <$type>::NUMBER,)* }
            }

            fn share(&self) -> Object {
                match self { $(Object::$variant(object) => Object::$variant(Arc::clone(object)),)* }
            }
        }

        $(impl Named for $type {
            const NAME: &'static str = $name;
            const NUMBER: u64 = $number;
            fn wrap(self) -> Object {
                Object::$variant(Arc::new(self))
            }
            fn of(object: Object) -> Option<Arc<Self>> {
                match object { Object::$variant(object) => Some(object), _ => None }
            }
        })*
    };
}

/// A type that handles may name.
pub(crate) trait Named: Sized {
    const NAME: &'static str;
    const NUMBER: u64;
    fn wrap(self) -> Object;
    fn of(object: Object) -> Option<Arc<Self>>;
}

objects! {
    Store(engine::Store) = 1, "a store";
    Txn(crate::txn::Txn) = 2, "a transaction";
    Snapshot(engine::Snapshot) = 3, "a snapshot";
    Mapping(engine::Bytes) = 4, "a mapping";
    Cancel(crate::cancel::Cancel) = 5, "a cancel handle";
    List(crate::read::List) = 6, "a list";
    Vectors(engine::VectorSet) = 7, "a vector set";
    Aggregate(crate::aggregate::Aggregate) = 8, "an aggregate";
    Changes(crate::changes::Changes) = 16, "a list of changes";
    Projection(engine::kernels::project::Projection) = 9, "a projection";
    View(crate::vectors::View) = 10, "a view of a vector set";
}

struct Slot {
    generation: u64,
    tag: u64,
    object: Option<Object>,
}

struct Table {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

static TABLE: Mutex<Table> = Mutex::new(Table { slots: Vec::new(), free: Vec::new() });
static NEXT_TAG: AtomicU64 = AtomicU64::new(1);

/// A tag for what belongs to a store that is opened now.
pub(crate) fn new_tag() -> u64 {
    NEXT_TAG.fetch_add(1, Ordering::Relaxed) & 0xFFF
}

/// The store tag of a handle that [`get`] accepted.
pub(crate) fn tag(handle: u64) -> u64 {
    (handle >> 44 & 0xFFF) ^ own_tag()
}

/// Where the table lies, mixed: each copy of the library has its own.
fn own_tag() -> u64 {
    (std::ptr::from_ref(&TABLE).addr() as u64 >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52
}

/// Whether a handle says that it names an object of this type; [`get`] finds out.
pub(crate) fn claims<T: Named>(handle: u64) -> bool {
    handle >> 56 == T::NUMBER
}

/// Puts an object into the table and returns its handle.
pub(crate) fn add<T: Named>(tag: u64, object: T) -> Outcome<u64> {
    let object = object.wrap();
    let number = object.number();
    let mut table = lock()?;
    let index = match table.free.pop() {
        Some(index) => index,
        None if table.slots.len() < SLOTS_MAX => {
            table.slots.push(Slot { generation: 0, tag: 0, object: None });
            table.slots.len() - 1
        }
        None => return Err(Failure::of(engine::ErrorKind::OutOfMemory, "too many handles are open; close some")),
    };
    let slot = &mut table.slots[index];
    slot.generation += 1;
    slot.tag = tag;
    slot.object = Some(object);
    Ok(number << 56 | (tag ^ own_tag()) << 44 | slot.generation << 24 | index as u64)
}

/// The object of a handle, kept alive while the caller uses it.
pub(crate) fn get<T: Named>(handle: u64) -> Outcome<Arc<T>> {
    let shared = lock()?.find(handle).and_then(|slot| slot.object.as_ref()).map(Object::share);
    shared.and_then(T::of).ok_or_else(|| Failure::handle(format!("{handle:#x} does not name {} that is open", T::NAME)))
}

/// Takes an object out of the table. It is dropped after the lock is free, when the last call that uses it returns.
pub(crate) fn remove(handle: u64) -> Outcome {
    let object = {
        let mut table = lock()?;
        let slot = table.find(handle);
        let object = slot.and_then(|slot| slot.object.take());
        let index = (handle & 0xFF_FFFF) as usize;
        if object.is_some() && table.slots[index].generation < GENERATION_MAX {
            table.free.push(index);
        }
        object
    };
    object.map(drop).ok_or_else(|| Failure::handle(format!("{handle:#x} names nothing that is open")))
}

impl Table {
    fn find(&mut self, handle: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut((handle & 0xFF_FFFF) as usize)?;
        let object = slot.object.as_ref()?;
        let is_same = handle >> 56 == object.number()
            && tag(handle) == slot.tag
            && (handle >> 24 & GENERATION_MAX) == slot.generation;
        is_same.then_some(slot)
    }
}

fn lock() -> Outcome<MutexGuard<'static, Table>> {
    TABLE
        .try_lock_for(LOCK_PATIENCE)
        .ok_or_else(|| Failure::of(engine::ErrorKind::Forked, "the table of handles is locked"))
}

/// Closes any handle: a store, transaction (aborted), snapshot, mapping, cancel handle, list, vector set, view of one,
/// aggregate or projection.
/// What it names lives on while another call uses it. TA_INVALID_HANDLE for 0 and for one that was closed.
#[unsafe(no_mangle)]
pub extern "C" fn ta_close(handle: u64, error: *mut crate::wall::ta_error) -> i32 {
    crate::wall::wall(error, || remove(handle))
}
