//! Long calls: without the interpreter's lock, followed by a callback, stopped by Ctrl-C.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use pyo3::prelude::*;
use tensoratom::{Control, Progress, Result};

use crate::error::Raise;
use crate::python;

/// How often signals are looked for and progress is told.
const TICK: Duration = Duration::from_millis(50);

/// From this size on a read or a put takes so long that Ctrl-C should stop it.
pub(crate) const LONG_BYTES: u64 = 32 << 20;

/// Runs `work` on a thread of its own while this one looks for signals. An exception of a signal handler or of the
/// callback cancels the work and is raised; what had been committed by then stays.
pub(crate) fn long<T: Send>(
    py: Python<'_>,
    title: &str,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Control<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let callback = match progress {
        None => None,
        Some(progress) => python(py, "tensoratom._progress", "follow")?.call1((progress, title))?.extract()?,
    };
    let callback: Option<Py<PyAny>> = callback;
    let cancel = AtomicBool::new(false);
    let state = Mutex::new(Progress::default());
    let latest = || state.lock().map(|progress| *progress).unwrap_or_default();
    let tell = |py: Python<'_>| -> PyResult<()> {
        let Some(callback) = &callback else { return Ok(()) };
        let now = latest();
        callback.call1(py, (now.bytes_done, now.bytes_total)).map(drop)
    };
    let report = |progress: Progress| {
        if let Ok(mut state) = state.lock() {
            *state = progress;
        }
    };
    let (outcome, interrupt) = py.detach(|| {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<()>(1);
            let (cancel, report) = (&cancel, &report);
            let worker = scope.spawn(move || {
                let _ends = sender; // dropped at the end of the work, which wakes the other side
                work(&Control::new().progress(report).cancel(cancel))
            });
            let mut interrupt = None;
            while receiver.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if interrupt.is_none()
                    && let Err(raised) = Python::attach(|py| py.check_signals().and_then(|()| tell(py)))
                {
                    cancel.store(true, Ordering::Relaxed);
                    interrupt = Some(raised);
                }
            }
            (worker.join(), interrupt)
        })
    });
    let outcome = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let last = if interrupt.is_none() && outcome.is_ok() { tell(py) } else { Ok(()) };
    if let Some(callback) = &callback
        && let Ok(close) = callback.getattr(py, "close")
    {
        close.call0(py)?;
    }
    match interrupt {
        Some(raised) => Err(raised),
        None => last.and(outcome.raise()),
    }
}
