//! The wall around every call from C++: a panic becomes an error, an error becomes a filled `Failure` and an exception.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tensoratom::{Control, DType, Error, ErrorKind, Progress, Result, kernels::Metric};

use crate::bridge::ffi::{Failure, Listener};

/// What the generated code turns into an exception. The header reads the facts in `Failure` instead.
#[derive(Debug)]
pub(crate) struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensoratom call failed")
    }
}

/// Runs a call. Nothing unwinds out of it.
pub(crate) fn wall<T>(failure: &mut Failure, body: impl FnOnce() -> Result<T>) -> Result<T, Failed> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            fill(failure, &error);
            Err(Failed)
        }
        Err(_) => {
            failure.kind = ErrorKind::Internal.number();
            failure.name = ErrorKind::Internal.name().to_owned();
            failure.message = "the engine panicked; please report it".to_owned();
            Err(Failed)
        }
    }
}

fn fill(failure: &mut Failure, error: &Error) {
    failure.kind = error.kind().number();
    failure.name = error.kind().name().to_owned();
    failure.message = error.to_string();
    failure.key = error.key_text().unwrap_or_default().to_owned();
    failure.path = error.path().map(|path| path.display().to_string()).unwrap_or_default();
    failure.os_code = error.os_code().unwrap_or(0);
}

/// What stops a long operation: a flag, and perhaps a moment.
#[derive(Default)]
pub(crate) struct Cancel {
    flag: AtomicBool,
    deadline: Option<Instant>,
    /// Nobody can set it: the engine need not look.
    is_never: bool,
}

pub(crate) fn cancel_new() -> Box<Cancel> {
    Box::default()
}

/// One that nobody sets, for calls that were given none.
pub(crate) fn cancel_never() -> Box<Cancel> {
    Box::new(Cancel { is_never: true, ..Cancel::default() })
}

/// One that is set once some time has passed; never if that is beyond the clock.
pub(crate) fn cancel_after(milliseconds: u64) -> Box<Cancel> {
    let deadline = Instant::now().checked_add(Duration::from_millis(milliseconds));
    Box::new(Cancel { deadline, ..Cancel::default() })
}

impl Cancel {
    pub(crate) fn set(&self) {
        // One that all calls share must not be set by whoever has a copy of it.
        if !self.is_never {
            self.flag.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Runs a long operation whose progress goes to `listener`, and which `cancel` stops.
pub(crate) fn controlled<T>(listener: &Listener, cancel: &Cancel, body: impl FnOnce(Control<'_>) -> T) -> T {
    if cancel.is_never {
        return body(Control::new());
    }
    let report = |p: Progress| {
        if !listener.report(p.bytes_done, p.bytes_total, p.items_done, p.items_total) {
            cancel.set();
        }
    };
    let control = Control::new().progress(&report).cancel(&cancel.flag);
    body(match cancel.deadline {
        Some(deadline) => control.deadline(deadline),
        None => control,
    })
}

pub(crate) fn dtype(number: u8) -> Result<DType> {
    DType::from_number(number).ok_or_else(|| Error::invalid_argument(format!("no dtype has number {number}")))
}

pub(crate) fn metric(number: u8) -> Result<Metric> {
    Metric::from_number(number).ok_or_else(|| Error::invalid_argument(format!("no metric has number {number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The bridge aborts the process on a panic. Without the wall a defect of the engine would take the host down.
    #[test]
    fn a_panic_becomes_an_error_of_kind_internal() {
        let mut failure = Failure::default();
        assert!(wall::<()>(&mut failure, || panic!("a defect")).is_err());
        assert_eq!((failure.kind, failure.name.as_str()), (99, "Internal"));
    }
}
