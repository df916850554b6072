//! Sessions by their number, and what the host told each of them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{Error, Result};

use crate::command;
use crate::data::{Input, Output, Type, ctype};

/// A session: the bytes of its GUID, and the task.
pub(crate) type Id = ([u8; 16], u16);

const SESSIONS_MAX: usize = 1024;
const ROWS: &str = "@rows";

static FILE: Mutex<Option<PathBuf>> = Mutex::new(None);
static SESSIONS: Mutex<Option<HashMap<Id, Arc<Mutex<Session>>>>> = Mutex::new(None);

/// A parameter with its value, as the host gave it.
#[derive(Default)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) words: Output8,
}

/// Room for a value that is handed out.
pub(crate) type Output8 = Vec<u64>;

/// What one script needs.
#[derive(Default)]
pub(crate) struct Session {
    script: String,
    pub(crate) columns: Vec<Type>,
    pub(crate) params: Vec<Param>,
    pub(crate) rows: usize,
    rows_total: i64,
    pub(crate) results: Vec<Output>,
    /// Addresses of data and of lengths, by column.
    pub(crate) handed: [Vec<usize>; 2],
}

impl Session {
    pub(crate) fn new(script: String, columns: usize, params: usize) -> Self {
        let mut session = Session { script, ..Session::default() };
        session.columns.resize(columns, Type::default());
        session.params.resize_with(params, Param::default);
        session
    }

    /// Runs the script on rows and keeps the result until the next call.
    pub(crate) fn execute(&mut self, columns: &[Input<'_>], rows: usize) -> Result<u16> {
        (self.results, self.rows) = (Vec::new(), 0); // those of the call before must not stand for those of one that fails
        self.results = command::run(&self.script, &file(), columns, rows)?;
        self.results.iter_mut().for_each(Output::finish);
        self.rows = self.results.first().map_or(0, |column| column.lengths.len());
        self.rows_total = self.rows_total.saturating_add(i64::try_from(self.rows).unwrap_or(i64::MAX));
        u16::try_from(self.results.len()).map_err(|_| Error::invalid_argument("the result has too many columns"))
    }

    /// The value of a parameter as it goes out: words and length, -1 for NULL.
    pub(crate) fn output(&mut self, number: usize) -> Result<(&mut [u64], i32)> {
        let total = self.rows_total;
        let unknown = || Error::invalid_argument(format!("there is no parameter {number}"));
        let param = self.params.get_mut(number).ok_or_else(unknown)?;
        let mut out = Output::new(param.kind);
        match param.kind.ctype {
            ctype::BIGINT if param.name == ROWS => out.push_i64(total)?,
            ctype::LONG if param.name == ROWS => {
                out.push(Some(&i32::try_from(total).unwrap_or(i32::MAX).to_le_bytes()))?
            }
            _ => out.push(param.value.as_deref())?,
        }
        out.finish();
        param.words = out.words;
        Ok((&mut param.words, out.lengths.first().copied().unwrap_or(-1)))
    }
}

/// Remembers where the configuration lies.
pub(crate) fn configure(file: PathBuf) {
    *lock(&FILE) = Some(file);
}

/// Opens a session; one of the same number must have ended.
pub(crate) fn begin(id: Id, session: Session) -> Result<()> {
    let mut sessions = lock(&SESSIONS);
    let sessions = sessions.get_or_insert_default();
    if sessions.len() >= SESSIONS_MAX || sessions.contains_key(&id) {
        return Err(Error::invalid_argument("the session is open already, or 1024 are; end some"));
    }
    sessions.insert(id, Arc::new(Mutex::new(session)));
    Ok(())
}

/// Works on an open session; others go on meanwhile.
pub(crate) fn with<T>(id: Id, body: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
    let session = lock(&SESSIONS).as_ref().and_then(|sessions| sessions.get(&id).cloned());
    let session = session.ok_or_else(|| Error::invalid_argument("no such session is open"))?;
    let mut session = lock(&session);
    body(&mut session)
}

/// Ends a session; one that is not open is no error.
pub(crate) fn end(id: Id) {
    if let Some(sessions) = lock(&SESSIONS).as_mut() {
        sessions.remove(&id);
    }
}

/// Ends all.
pub(crate) fn end_all() {
    *lock(&SESSIONS) = None;
}

fn file() -> PathBuf {
    lock(&FILE).clone().unwrap_or_else(|| crate::config::file(""))
}

// A panic was reported where it happened; what it left behind is a session that the host will end.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
