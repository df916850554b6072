//! Cancelling: a flag that another thread sets, a moment after which a call ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::Control;

use crate::handle;
use crate::memory::One;
use crate::wall::{Outcome, ta_error, wall};

/// A flag and a deadline for calls that are running.
pub struct Cancel {
    flag: AtomicBool,
    deadline: Option<Instant>,
}

/// The flag of a handle, none for 0.
pub(crate) fn flag(cancel: u64) -> Outcome<Option<Arc<Cancel>>> {
    if cancel == 0 { Ok(None) } else { handle::get(cancel).map(Some) }
}

/// What the engine is to heed.
pub(crate) fn control(flag: &Option<Arc<Cancel>>) -> Control<'_> {
    let Some(cancel) = flag else { return Control::new() };
    let control = Control::new().cancel(&cancel.flag);
    match cancel.deadline {
        Some(deadline) => control.deadline(deadline),
        None => control,
    }
}

/// Makes a cancel handle that is not set, and sets itself `deadline_ms` from now; UINT64_MAX for never. Close it with ta_close.
#[unsafe(no_mangle)]
pub extern "C" fn ta_cancel_new(deadline_ms: u64, cancel: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(cancel)?;
        let deadline = Instant::now().checked_add(Duration::from_millis(deadline_ms)); // none: beyond the clock
        let deadline = deadline.filter(|_| deadline_ms != u64::MAX);
        out.set(handle::add(0, Cancel { flag: AtomicBool::new(false), deadline })?)
    })
}

/// Sets a cancel handle: calls that were given it end with TA_CANCELLED soon, and calls that begin with it at once.
#[unsafe(no_mangle)]
pub extern "C" fn ta_cancel_set(cancel: u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        handle::get::<Cancel>(cancel)?.flag.store(true, Ordering::Relaxed);
        Ok(())
    })
}
