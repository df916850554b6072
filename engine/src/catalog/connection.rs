//! One SQLite connection, set up the way the store needs it, and what its errors mean to us.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, ffi};

use crate::error::{Error, ErrorKind, Result};

use super::page::PAGE_BYTES;
use super::vfs::{self, Mount, VFS_NAME};

/// `PRAGMA user_version` of a new catalog.
pub(super) const SCHEMA_VERSION: i64 = 1;
/// The same once a payload is coded against another, and the newest that this code knows.
pub(super) const SCHEMA_VERSION_DELTA: i64 = 2;
/// Tables and public views of a new catalog.
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// `PRAGMA application_id`: "TADB".
pub(super) const APPLICATION_ID: i64 = 0x5441_4442;
/// How long SQLite itself waits for the short locks around opening and checkpoints.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages each connection keeps, in KiB.
const CACHE_KIB: u32 = 8 * 1024;
/// Prepared statements each connection keeps: more than there are in this crate.
const STATEMENTS: usize = 64;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Queries only.
    Read,
    /// Transactions that are durable when they return.
    WriteFull,
    /// Transactions that are atomic and ordered, durable at the next checkpoint.
    WriteProcess,
}

/// Opens the catalog `name` of a mounted volume. It must exist.
pub(super) fn open(mount: &Mount, name: &str, role: Role, read_only: bool) -> Result<Connection> {
    let access = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags_and_vfs(mount.path(name), flags, VFS_NAME).map_err(|e| error("opening", e))?;
    set_up(&connection, role)?;
    let journal: String =
        connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(|e| error("opening", e))?;
    if journal != "wal" {
        return Err(damaged(format!("the catalog's journal mode is '{journal}'")));
    }
    Ok(connection)
}

/// Creates an empty catalog with the current schema.
pub(super) fn create(mount: &Mount, name: &str) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags_and_vfs(mount.path(name), flags, VFS_NAME).map_err(|e| error("creating", e))?;
    vfs::reserve_page_tail(&connection)?;
    let prepare = format!("PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL;");
    connection.execute_batch(&prepare).map_err(|e| error("creating", e))?;
    set_up(&connection, Role::WriteFull)?;
    let schema = format!(
        "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};\n{SCHEMA}; COMMIT;"
    );
    connection.execute_batch(&schema).map_err(|e| error("creating", e))?;
    Ok(connection)
}

fn set_up(connection: &Connection, role: Role) -> Result<()> {
    use rusqlite::config::DbConfig;
    use rusqlite::limits::Limit;
    let fail = |e| error("opening", e);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(fail)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(fail)?;
    // Plans must not depend on bound values: otherwise SQLite prepares a statement anew at every call.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(fail)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0).map_err(fail)?;
    let synchronous = if role == Role::WriteProcess { "NORMAL" } else { "FULL" };
    let query_only = if role == Role::Read { "ON" } else { "OFF" };
    // cache_spill: pages of an unfinished transaction are never written, so that every frame of the log belongs to a
    // commit. wal_autocheckpoint: checkpoints run where we can see their errors, not inside somebody's commit.
    let pragmas = format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA query_only = {query_only}; PRAGMA temp_store = MEMORY; \
         PRAGMA mmap_size = 0; PRAGMA cache_spill = OFF; PRAGMA cache_size = -{CACHE_KIB}; \
         PRAGMA wal_autocheckpoint = 0;"
    );
    connection.execute_batch(&pragmas).map_err(fail)
}

/// A damaged catalog, with what to do about it.
pub(super) fn damaged(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::CatalogCorrupt, what)
        .hint("run `tensoratom repair STORE --rebuild-catalog`: payloads and their history are in the segments")
}

/// What a failure of SQLite means. `doing` completes "... the catalog".
pub(super) fn error(doing: &'static str, source: rusqlite::Error) -> Error {
    let what = format!("{doing} the catalog");
    let rusqlite::Error::SqliteFailure(failure, _) = &source else {
        // Values of another type than the schema says: not bytes that SQLite or our page checksums would notice.
        return damaged(what).source_box(source.into());
    };
    let primary = failure.extended_code & 0xff;
    let kind = match (primary, failure.extended_code) {
        (ffi::SQLITE_FULL, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => ErrorKind::DiskFull,
        (ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED, _) => ErrorKind::Busy,
        (ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB, _) | (_, ffi::SQLITE_IOERR_DATA) => {
            return damaged(what).source_box(source.into());
        }
        (ffi::SQLITE_READONLY, _) => ErrorKind::ReadOnly,
        (ffi::SQLITE_NOMEM, _) => ErrorKind::OutOfMemory,
        (ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN, _) => ErrorKind::Io,
        (ffi::SQLITE_INTERRUPT, _) => ErrorKind::Cancelled,
        _ => ErrorKind::Internal,
    };
    let error = Error::new(kind, what).source_box(source.into());
    match kind {
        ErrorKind::DiskFull => error.hint("nothing was committed; free space or delete atoms, then try again"),
        ErrorKind::Busy => error.hint("another process holds the write lock; try again"),
        _ => error,
    }
}
