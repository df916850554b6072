//! How callers follow and stop long operations.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// How far a long operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all, as far as known.
    pub bytes_total: u64,
    /// Atoms or payloads done.
    pub items_done: u64,
    /// Atoms or payloads in all.
    pub items_total: u64,
}

/// A progress callback, a cancel flag and a deadline, all optional.
///
/// The callback is called from worker threads, many times a second at most per block of work, and should return at once.
/// After the flag is set, or the deadline passed, the operation ends with `Cancelled` within one chunk or block of work,
/// having changed nothing.
#[derive(Clone, Copy, Default)]
pub struct Control<'a> {
    progress: Option<&'a (dyn Fn(Progress) + Sync)>,
    cancel: Option<&'a AtomicBool>,
    deadline: Option<Instant>,
}

impl<'a> Control<'a> {
    /// None of them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `progress` now and then.
    #[must_use]
    pub fn progress(mut self, progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Stops when `cancel` becomes true.
    #[must_use]
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Stops when this moment has passed.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Whether anything can end the work early.
    pub(crate) fn can_stop(&self) -> bool {
        self.cancel.is_some() || self.deadline.is_some()
    }

    /// The moment it ends at the latest, if there is one.
    pub(crate) fn ends_at(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn report(&self, progress: Progress) {
        if let Some(callback) = self.progress {
            callback(progress);
        }
    }

    /// Fails with `Cancelled` once the flag is set or the deadline passed. For those who ask between calls of their own.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(Error::new(ErrorKind::Cancelled, "the operation was cancelled"));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::new(ErrorKind::Cancelled, "the deadline of the operation has passed"));
        }
        Ok(())
    }
}

/// When a wait that begins now ends. One longer than the clock can count ends in a hundred years.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).or_else(|| now.checked_add(Duration::from_secs(100 * 365 * 86_400))).unwrap_or(now)
}

impl fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = (self.progress.is_some(), self.cancel.is_some(), self.deadline.is_some());
        write!(f, "Control(progress: {}, cancel: {}, deadline: {})", has.0, has.1, has.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A deadline that is not looked at lets a caller hang for as long as the work takes.
    #[test]
    fn work_ends_at_its_deadline_and_not_before() {
        let now = Instant::now();
        assert!(Control::new().deadline(now + Duration::from_secs(3600)).check().is_ok());
        let late = Control::new().deadline(now).check().unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Cancelled);
    }
}
