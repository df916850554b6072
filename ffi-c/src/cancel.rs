//! Cancelling: a flag that another thread sets, a moment after which a call ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::{Control, Progress};
use parking_lot::Mutex;

use crate::handle;
use crate::memory::One;
use crate::wall::{Outcome, ta_error, wall};

/// A flag and a deadline for calls that are running, and how far they are.
pub struct Cancel {
    flag: AtomicBool,
    deadline: Option<Instant>,
    seen: Arc<Mutex<Progress>>,
    /// Writes to `seen`.
    tell: Box<dyn Fn(Progress) + Send + Sync>,
}

/// How far a call is.
#[repr(C)]
pub struct ta_progress {
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all, as far as known.
    pub bytes_total: u64,
    /// Atoms, payloads or segments done.
    pub items_done: u64,
    /// Such in all, as far as known.
    pub items_total: u64,
}

/// The flag of a handle, none for 0.
pub(crate) fn flag(cancel: u64) -> Outcome<Option<Arc<Cancel>>> {
    if cancel == 0 { Ok(None) } else { handle::get(cancel).map(Some) }
}

/// What the engine is to heed.
pub(crate) fn control(flag: &Option<Arc<Cancel>>) -> Control<'_> {
    let Some(cancel) = flag else { return Control::new() };
    let control = Control::new().cancel(&cancel.flag).progress(&*cancel.tell);
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
        let seen = Arc::new(Mutex::new(Progress::default()));
        let told = Arc::clone(&seen);
        let tell = Box::new(move |progress| *told.lock() = progress);
        out.set(handle::add(0, Cancel { flag: AtomicBool::new(false), deadline, seen, tell })?)
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

/// How far the call is that was given this cancel handle, the one that said so last where several were; asked from another
/// thread while it runs, or after it. All 0 as long as none said so.
#[unsafe(no_mangle)]
pub extern "C" fn ta_cancel_progress(cancel: u64, progress: *mut ta_progress, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(progress)?;
        let Progress { bytes_done, bytes_total, items_done, items_total } = *handle::get::<Cancel>(cancel)?.seen.lock();
        out.set(ta_progress { bytes_done, bytes_total, items_done, items_total })
    })
}
