//! A listing of changes: one page of the public view, in the order of commits and keys.

use rusqlite::types::Value;
use rusqlite::{ToSql, params};

use crate::error::Result;
use crate::key::Key;

use super::query::{View, key_at, to_db, u64_at};

impl View<'_> {
    /// Changes of a namespace by commits in `since < lsn <= until`, behind `after`, at most `limit`: the commit, the
    /// key, whether it was put.
    pub(crate) fn changes(
        self,
        namespace: &str,
        (since, until): (u64, u64),
        after: Option<&(u64, Key)>,
        limit: usize,
    ) -> Result<Vec<(u64, Key, bool)>> {
        let sql = "SELECT lsn, operation = 'put', key FROM changes \
             WHERE namespace = ?1 AND lsn > ?2 AND lsn <= ?3 AND (lsn, key) > (?4, ?5) ORDER BY lsn, key LIMIT ?6";
        // Blobs sort behind all keys.
        let start = Value::Blob(Vec::new());
        let (lsn, key): (u64, &dyn ToSql) = match after {
            Some((lsn, key)) => (*lsn, &key.as_ref()),
            None => (since, &start),
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, params![namespace, to_db(since), to_db(until), to_db(lsn), key, limit], |row| {
            Ok((u64_at(row, 0)?, key_at(row, 2)?, row.get(1)?))
        })
    }
}
