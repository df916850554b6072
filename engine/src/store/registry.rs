//! Which stores this process has open: a directory is opened once, however often it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use crate::error::Result;
use crate::file::Identity;

use super::StoreInner;

/// A store is shared by handles of the same kind; a reading and a writing one are apart.
type Key = (Identity, bool);
type Slot = Arc<Mutex<Weak<StoreInner>>>;

fn slots() -> &'static Mutex<HashMap<Key, Slot>> {
    static SLOTS: OnceLock<Mutex<HashMap<Key, Slot>>> = OnceLock::new();
    SLOTS.get_or_init(Mutex::default)
}

/// The open store of a directory, or what `open` makes of it. Opens of one directory wait for each other, of others not.
pub(super) fn share(
    identity: Identity,
    read_only: bool,
    open: impl FnOnce() -> Result<Arc<StoreInner>>,
) -> Result<Arc<StoreInner>> {
    let slot = {
        let mut slots = slots().lock();
        slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_none_or(|weak| weak.strong_count() > 0)
        });
        Arc::clone(slots.entry((identity, read_only)).or_default())
    };
    let mut slot = slot.lock();
    // A store inherited through a fork is the parent's, not ours.
    if let Some(inner) = slot.upgrade().filter(|inner| inner.check_usable().is_ok()) {
        return Ok(inner);
    }
    let inner = open()?;
    *slot = Arc::downgrade(&inner);
    Ok(inner)
}
