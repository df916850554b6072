//! Questions that a cancel flag or a deadline ends in the middle of a statement, however long that runs.

use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::control::Control;
use crate::error::{Error, Result};

/// Time between two looks at the flag.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs `ask`, which uses the connection, and interrupts its statements once the control says so: the error is then
/// `Cancelled`. A thread looks on meanwhile; a control that stops nothing costs none.
pub(super) fn interruptible<T>(
    connection: &Connection,
    control: &Control<'_>,
    ask: impl FnOnce() -> Result<T>,
) -> Result<T> {
    control.check()?;
    if !control.can_stop() {
        return ask();
    }
    let (handle, finished) = (connection.get_interrupt_handle(), Finished::default());
    let look = || {
        let mut is_over = finished.is_over.lock();
        while !*is_over {
            if control.check().is_err() {
                // Again and again: an interrupt between two statements stops neither.
                handle.interrupt();
            }
            let next = Instant::now().checked_add(PAUSE);
            let wake = control.ends_at().filter(|end| *end > Instant::now()).into_iter().chain(next).min();
            match wake {
                Some(wake) => finished.told.wait_until(&mut is_over, wake),
                None => finished.told.wait_for(&mut is_over, PAUSE),
            };
        }
    };
    let answer = thread::scope(|scope| {
        let looking = thread::Builder::new().name("tensoratom-deadline".to_owned()).spawn_scoped(scope, look);
        let _over = Over(&finished);
        looking.map_err(|e| Error::from_io("starting a thread that looks at the deadline", e))?;
        ask()
    });
    // Whatever an interrupted statement calls its failure, the reason is this one.
    answer.map_err(|e| control.check().err().unwrap_or(e))
}

#[derive(Default)]
struct Finished {
    is_over: Mutex<bool>,
    told: Condvar,
}

/// Ends the looking, also when the question panics.
struct Over<'f>(&'f Finished);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        *self.0.is_over.lock() = true;
        self.0.told.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::error::ErrorKind;

    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

    fn ask(connection: &Connection, sql: &str, control: &Control<'_>) -> Result<i64> {
        let failed = |e: rusqlite::Error| Error::internal(e.to_string());
        interruptible(connection, control, || connection.query_row(sql, [], |row| row.get(0)).map_err(failed))
    }

    // A statement that never ends held the thread of a server until somebody restarted it.
    #[test]
    fn an_endless_statement_ends_by_deadline_and_by_flag_and_the_connection_goes_on() {
        let connection = Connection::open_in_memory().unwrap();
        let soon = Control::new().deadline(Instant::now() + Duration::from_millis(20));
        assert_eq!(ask(&connection, ENDLESS, &soon).unwrap_err().kind(), ErrorKind::Cancelled);
        let flag = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                flag.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            let stopped = ask(&connection, ENDLESS, &Control::new().cancel(&flag));
            assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
        });
        let later = Control::new().deadline(Instant::now() + Duration::from_secs(600));
        assert_eq!(ask(&connection, "SELECT 7", &later).unwrap(), 7);
    }
}
