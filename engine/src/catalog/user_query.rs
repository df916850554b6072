//! Queries of users over the public views: one statement, reading only, bounded in rows.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ffi};

use crate::error::{Error, ErrorKind, Result};
use crate::memory;

use super::connection::error;

/// One value of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// SQL `NULL`.
    Null,
    /// Signed 64-bit integer.
    Integer(i64),
    /// Binary64 float.
    Real(f64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Answer of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryResult {
    /// Column names in order.
    pub columns: Vec<String>,
    /// Rows, each with one value per column.
    pub rows: Vec<Vec<SqlValue>>,
}

/// Reading, functions and recursion; nothing that changes, attaches, or sets anything.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Function { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// Failures of the file, the system or a lock.
fn is_ours(primary: i32) -> bool {
    matches!(
        primary,
        ffi::SQLITE_IOERR
            | ffi::SQLITE_CORRUPT
            | ffi::SQLITE_NOTADB
            | ffi::SQLITE_BUSY
            | ffi::SQLITE_LOCKED
            | ffi::SQLITE_NOMEM
            | ffi::SQLITE_FULL
            | ffi::SQLITE_CANTOPEN
            | ffi::SQLITE_READONLY
            | ffi::SQLITE_PROTOCOL
    )
}

/// Lets a connection read, and nothing else.
pub(super) fn restrict(connection: &mut Connection) -> Result<()> {
    connection.authorizer(Some(authorize)).map_err(|e| error("querying", e))
}

/// Runs a statement on a connection that was restricted.
pub(super) fn run(connection: &Connection, sql: &str, row_limit: usize) -> Result<QueryResult> {
    // Whatever is no failure of the file or the system is a fault of the query.
    let wrong = |e: rusqlite::Error| {
        match &e {
        rusqlite::Error::SqliteFailure(failure, _) if is_ours(failure.extended_code & 0xff) => error("querying", e),
        _ => Error::new(ErrorKind::InvalidArgument, "the query was refused")
            .source_box(e.into())
            .hint("one SELECT over atoms, versions, payloads, segments, commits, changes, lineages, manifests, vector_sets or vector_parts"),
    }
    };
    let mut statement = connection.prepare(sql).map_err(wrong)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query([]).map_err(wrong)?;
    let mut result = QueryResult { columns, rows: Vec::new() };
    while let Some(row) = rows.next().map_err(wrong)? {
        if result.rows.len() == row_limit {
            let what = format!("the answer has more than {row_limit} rows");
            return Err(Error::new(ErrorKind::InvalidArgument, what).hint("add a LIMIT"));
        }
        let mut values = Vec::new();
        memory::reserve(&mut values, result.columns.len())?;
        for column in 0..result.columns.len() {
            values.push(value(row.get_ref(column).map_err(wrong)?)?);
        }
        memory::reserve(&mut result.rows, 1)?;
        result.rows.push(values);
    }
    Ok(result)
}

/// A copy, whose size is up to whoever wrote the query.
fn value(value: ValueRef<'_>) -> Result<SqlValue> {
    Ok(match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(n) => SqlValue::Integer(n),
        ValueRef::Real(x) => SqlValue::Real(x),
        ValueRef::Text(text) => SqlValue::Text(match String::from_utf8(memory::copied(text)?) {
            Ok(text) => text,
            Err(other) => String::from_utf8_lossy(other.as_bytes()).into_owned(),
        }),
        ValueRef::Blob(bytes) => SqlValue::Blob(memory::copied(bytes)?),
    })
}
