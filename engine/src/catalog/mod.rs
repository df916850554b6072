//! The catalog: which versions of which keys exist, which payload each has, where copies lie, and the state of every
//! segment. SQLite behind a narrow interface; no SQL leaves this folder, and none enters the hot path of a repeated
//! read. Knows nothing of payload bytes, maps or leases.

mod apply;
mod apply_tiers;
mod apply_vectors;
mod changes;
mod commit;
mod connection;
mod deltas;
mod interrupt;
mod page;
mod public_views;
mod query;
mod query_tiers;
mod query_vectors;
mod reclaim;
mod rows;
mod user_query;
mod vfs;
mod watch;

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, ffi};

use crate::control::{Control, deadline};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{ForkGuard, Volume};
use crate::format::names;

pub(crate) use commit::{
    AppendPart, CodeAgainst, Commit, CommitId, Forget, NewCopy, Operation, PutAtom, PutManifest, VectorSetSpec,
};
pub(crate) use query::{LATEST, Span, View};
pub(crate) use reclaim::{Forgettable, Moved};
pub(crate) use rows::{
    CommitRow, CopyRow, Found, Head, ManifestRow, PartRow, PartState, PayloadId, PlacedPayload, SegmentRow,
    SegmentState, SegmentSums, SegmentUse, StoredRow, TierSums, UseRow, VectorSetRow, VersionRow,
};
pub use user_query::{QueryResult, SqlValue};
pub(crate) use watch::Watch;

use apply::Changes;
use connection::{Role, error};
use vfs::Mount;

/// Connections kept for reading; more are opened for more threads and closed again.
const READERS_KEPT: usize = 16;
/// Size of the write-ahead log, in pages, from which a checkpoint is worth its syncs.
const CHECKPOINT_PAGES: i64 = 1000;

/// An open catalog.
pub(crate) struct Catalog {
    /// Fields drop in this order: connections before the mount they use.
    readers: Mutex<Vec<Connection>>,
    full: Mutex<Option<Connection>>,
    process: Mutex<Option<Connection>>,
    mount: Mount,
    name: &'static str,
    fork: Arc<ForkGuard>,
    read_only: bool,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Catalog({})", self.name)
    }
}

impl Catalog {
    /// Creates an empty catalog file of this name, which must not exist, and leaves it closed and durable.
    pub(crate) fn create(
        volume: Arc<dyn Volume>,
        fork: Arc<ForkGuard>,
        name: &'static str,
        store_uuid: [u8; 16],
    ) -> Result<()> {
        let mount = Mount::new(volume, fork)?;
        let connection = connection::create(&mount, name)?;
        connection
            .execute_batch("INSERT INTO namespace (id, name, lsn) VALUES (0, '', 0);")
            .map_err(|e| error("creating", e))?;
        public_views::mark(&connection)?;
        let sql = "INSERT INTO head (id, store_uuid, lsn, commit_id, time_us, synced_lsn, boot_id) \
             VALUES (1, ?1, 0, zeroblob(16), 0, 0, zeroblob(16))";
        connection.execute(sql, [store_uuid]).map_err(|e| error("creating", e))?;
        connection.close().map_err(|(_, e)| error("creating", e))
    }

    /// Opens the catalog file of this name. Replays SQLite's log if the last process died.
    pub(crate) fn open(
        volume: Arc<dyn Volume>,
        fork: Arc<ForkGuard>,
        name: &'static str,
        store_uuid: [u8; 16],
        read_only: bool,
    ) -> Result<Self> {
        if !volume.exists(name).map_err(|e| Error::io("looking for the catalog", e))? {
            return Err(connection::damaged("the catalog file is missing"));
        }
        let mount = Mount::new(volume, Arc::clone(&fork))?;
        let first = connection::open(&mount, name, Role::Read, read_only)?;
        let pragma = |sql| first.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|e| error("opening", e));
        if pragma("PRAGMA application_id")? != connection::APPLICATION_ID {
            return Err(connection::damaged("the catalog file is not a catalog"));
        }
        let version = pragma("PRAGMA user_version")?;
        if version > connection::SCHEMA_VERSION_DELTA {
            let what = format!("catalog schema {version} is newer than {}", connection::SCHEMA_VERSION_DELTA);
            return Err(
                Error::new(ErrorKind::NewerFormat, what).hint("open the store with a newer version of this library")
            );
        }
        if version < 1 {
            return Err(connection::damaged("the catalog has no schema"));
        }
        if View::new(&first).store_uuid()? != store_uuid {
            return Err(connection::damaged("the catalog belongs to another store"));
        }
        Ok(Catalog {
            readers: Mutex::new(vec![first]),
            full: Mutex::new(None),
            process: Mutex::new(None),
            mount,
            name,
            fork,
            read_only,
        })
    }

    /// A connection for reading, of which the pool never closes the last: an open one keeps the shared memory alive. A
    /// single thread needs no second one, and so reads the schema once.
    pub(crate) fn read(&self) -> Result<Reader<'_>> {
        let pooled = self.readers.lock().pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => connection::open(&self.mount, self.name, Role::Read, self.read_only)?,
        };
        Ok(Reader { catalog: self, connection: Some(connection) })
    }

    /// Starts a transaction, waiting up to `timeout` for other threads and processes. `durable` transactions have
    /// survived power loss when [`Transaction::commit`] returns; others survive the process only.
    pub(crate) fn begin(&self, durable: bool, timeout: Duration) -> Result<Transaction<'_>> {
        self.begin_within(durable, timeout, &Control::new())
    }

    /// As [`Catalog::begin`]; while it waits for another process it gives up with `Cancelled` when it is told to.
    pub(crate) fn begin_within(
        &self,
        durable: bool,
        timeout: Duration,
        control: &Control<'_>,
    ) -> Result<Transaction<'_>> {
        let deadline = deadline(timeout);
        let (slot, role) = if durable { (&self.full, Role::WriteFull) } else { (&self.process, Role::WriteProcess) };
        let busy = || {
            Error::new(ErrorKind::Busy, format!("the write lock was not free within {timeout:?}"))
                .hint("another thread or process is committing; try again or raise the lock timeout")
        };
        let mut guard = slot.try_lock_until(deadline).ok_or_else(busy)?;
        if guard.is_none() {
            *guard = Some(connection::open(&self.mount, self.name, role, self.read_only)?);
        }
        let connection = guard.as_ref().ok_or_else(|| Error::internal("no connection"))?;
        // Waiting here rather than in SQLite keeps the steps short: a commit of another process takes milliseconds.
        connection.busy_timeout(Duration::ZERO).map_err(|e| error("locking", e))?;
        let mut pause = Duration::from_micros(50);
        loop {
            match connection.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => break,
                Err(e) => {
                    let e = error("locking", e);
                    if e.kind() != ErrorKind::Busy {
                        return Err(e);
                    }
                    if Instant::now() >= deadline {
                        return Err(busy());
                    }
                }
            }
            control.check()?;
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        }
        Ok(Transaction { connection: guard, finished: false, fork: &self.fork })
    }

    /// Commits nothing, durably. A commit of a process that died between writing SQLite's log and showing it to others is
    /// seen by nobody and would still be found by the next replay of the log; after this it never will.
    pub(crate) fn fence(&self, timeout: Duration) -> Result<()> {
        let transaction = self.begin(true, timeout)?;
        transaction.count_fence()?;
        transaction.commit()
    }

    /// Moves the write-ahead log into the database once it is large enough, without waiting for readers.
    pub(crate) fn checkpoint_if_large(&self, durable: bool) -> Result<()> {
        let guard = if durable { self.full.lock() } else { self.process.lock() };
        let Some(connection) = guard.as_ref() else { return Ok(()) };
        let checkpoint = |mode: &str| {
            let pages = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
            let sql = format!("PRAGMA wal_checkpoint({mode})");
            connection.query_row(&sql, [], pages).map_err(|e| error("checkpointing", e))
        };
        if checkpoint("NOOP")? >= CHECKPOINT_PAGES {
            checkpoint("PASSIVE")?;
        }
        Ok(())
    }

    /// Runs a user's query on a connection that can only read, and returns all rows.
    pub(crate) fn user_query(&self, sql: &str, row_limit: usize, control: &Control<'_>) -> Result<QueryResult> {
        let mut connection = connection::open(&self.mount, self.name, Role::Read, true)?;
        user_query::restrict(&mut connection)?;
        interrupt::interruptible(&connection, control, || user_query::run(&connection, sql, row_limit))
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            // Closing would checkpoint and give up locks that belong to the parent.
            std::mem::forget(std::mem::take(&mut *self.readers.lock()));
            std::mem::forget(self.full.lock().take());
            std::mem::forget(self.process.lock().take());
        }
    }
}

/// A connection borrowed for reading.
pub(crate) struct Reader<'c> {
    catalog: &'c Catalog,
    connection: Option<Connection>,
}

impl Reader<'_> {
    fn connection(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or_else(|| Error::internal("a reader without a connection"))
    }

    /// Questions, each answered from the newest state.
    pub(crate) fn view(&self) -> Result<View<'_>> {
        self.connection().map(View::new)
    }

    /// As [`Reader::consistently`], ended with `Cancelled` once the control says so.
    pub(crate) fn consistently_within<T>(
        &self,
        control: &Control<'_>,
        ask: impl FnOnce(View<'_>) -> Result<T>,
    ) -> Result<T> {
        match self.connection.as_ref() {
            Some(connection) => interrupt::interruptible(connection, control, || self.consistently(ask)),
            None => self.consistently(ask),
        }
    }

    /// Runs several questions on one and the same state.
    pub(crate) fn consistently<T>(&self, ask: impl FnOnce(View<'_>) -> Result<T>) -> Result<T> {
        let view = self.view()?;
        let Some(connection) = self.connection.as_ref() else { return ask(view) };
        connection.execute_batch("BEGIN").map_err(|e| error("reading", e))?;
        let answer = ask(view);
        let ended = connection.execute_batch("COMMIT").map_err(|e| error("reading", e));
        answer.and_then(|answer| ended.map(|()| answer))
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if self.catalog.fork.is_forked() {
            return std::mem::forget(connection);
        }
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            // Closed, it could be the last, and the shared memory would be emptied under the watch.
            return std::mem::forget(connection);
        }
        let mut readers = self.catalog.readers.lock();
        if readers.len() < READERS_KEPT {
            readers.push(connection);
        }
    }
}

/// A transaction of the catalog: holds the write lock of all processes until it ends. Dropped, it changes nothing.
pub(crate) struct Transaction<'c> {
    connection: MutexGuard<'c, Option<Connection>>,
    finished: bool,
    fork: &'c ForkGuard,
}

impl Transaction<'_> {
    fn connection(&self) -> Result<&Connection> {
        self.connection.deref().as_ref().ok_or_else(|| Error::internal("a transaction without a connection"))
    }

    fn changes(&self, lsn: u64) -> Result<Changes<'_>> {
        Ok(Changes::new(self.connection()?, lsn))
    }

    /// Questions, answered with this transaction's own changes.
    pub(crate) fn view(&self) -> Result<View<'_>> {
        Ok(View::new(self.connection()?))
    }

    /// The LSN of a key's current version, if it has one.
    pub(crate) fn current_lsn(&self, namespace: u32, key: &crate::key::Key) -> Result<Option<u64>> {
        self.changes(0)?.current_lsn(namespace, key)
    }

    /// Applies a commit whose record lies at `place` (segment, offset, extent), and the use of the segments it touched.
    pub(crate) fn apply(&self, commit: &Commit, place: (u64, u64, u64), segments: &[SegmentUse]) -> Result<()> {
        let changes = self.changes(commit.lsn)?;
        segments.iter().try_for_each(|segment| changes.use_segment(segment))?;
        changes.commit(commit, place)
    }

    /// Replaces a setting of the store.
    pub(crate) fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        self.changes(0)?.set_setting(name, value)
    }

    /// Adds reads of payloads to what is known of their use.
    pub(crate) fn add_uses(&self, used: &[UseRow]) -> Result<()> {
        let changes = self.changes(0)?;
        used.iter().try_for_each(|used| changes.add_use(used))
    }

    /// Changes the state of a segment.
    pub(crate) fn set_segment_state(&self, segment: u64, state: SegmentState) -> Result<()> {
        self.changes(0)?.set_segment_state(segment, state)
    }

    /// Tells all processes never to append to a segment again.
    pub(crate) fn mark_suspect(&self, segment: u64) -> Result<()> {
        self.changes(0)?.mark_suspect(segment)
    }

    /// Makes the transaction one that is written even if it changes nothing else. See [`Catalog::fence`].
    pub(crate) fn count_fence(&self) -> Result<()> {
        self.changes(0)?.count_fence()
    }

    /// Says that all commits up to `lsn` are durable.
    pub(crate) fn set_synced(&self, lsn: u64) -> Result<()> {
        self.changes(lsn)?.set_synced(lsn)
    }

    /// Remembers the boot in which commits are made that may not be durable.
    pub(crate) fn set_boot(&self, boot_id: u128) -> Result<()> {
        self.changes(0)?.set_boot(boot_id)
    }

    /// Takes back every commit after `lsn`.
    pub(crate) fn roll_back_to(&self, lsn: u64) -> Result<()> {
        self.changes(lsn)?.roll_back_to(lsn)
    }

    /// Points the log of commits at the new places of a segment's records and condemns the segment. False, and nothing is
    /// changed, when something in it is needed after all.
    pub(crate) fn condemn(&self, segment: u64, moved: &[Moved], targets: &[SegmentUse]) -> Result<bool> {
        self.changes(self.view()?.head()?.synced_lsn)?.condemn(segment, moved, targets)
    }

    /// The segment's file is gone: its number stays, so that it is never used again.
    pub(crate) fn set_deleted(&self, segment: u64) -> Result<()> {
        self.changes(0)?.set_segment_state(segment, SegmentState::Deleted)
    }

    /// Gives a payload a copy that no commit names any more, in place of the copies it has. `base` is what it is coded against.
    pub(crate) fn adopt(&self, copy: &NewCopy, base: Option<Digest>, segment: &SegmentUse) -> Result<()> {
        let changes = self.changes(self.view()?.head()?.lsn)?;
        changes.use_segment(segment)?;
        let former_base = changes.add_copy(copy)?;
        base.map_or(Ok(()), |base| {
            changes.code_against(&CodeAgainst { namespace: copy.namespace, payload: copy.digest, base })
        })?;
        former_base.map_or(Ok(()), |base| changes.drop_unneeded(base))
    }

    /// Gives a payload up if nothing uses it and nothing is coded against it.
    pub(crate) fn drop_unneeded(&self, namespace: u32, digest: &Digest) -> Result<()> {
        let changes = self.changes(0)?;
        changes.payload_id(namespace, digest)?.map_or(Ok(()), |payload| changes.drop_unneeded(payload))
    }

    /// Marks segments without a file as deleted, as far as nothing lies in them.
    pub(crate) fn retire_missing(&self, is_there: impl Fn(u64) -> bool) -> Result<()> {
        let rows = self.view()?.segments()?;
        let changes = self.changes(0)?;
        rows.iter().filter(|row| !is_there(row.id)).try_for_each(|row| changes.retire(row.id))
    }

    /// Computes all counters anew.
    pub(crate) fn recount(&self) -> Result<()> {
        self.changes(0)?.recount()
    }

    /// Makes the transaction visible to everyone, and durable if it was begun so.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.finished = true;
        let outcome = self.connection()?.execute_batch("COMMIT").map_err(|e| match e.sqlite_error() {
            // The log holds the commit whole, and only its index could not grow: this is no full disk that stopped it.
            Some(failure) if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
                Error::new(ErrorKind::Io, "committing to the catalog").source_box(e.into())
            }
            _ => error("committing to", e),
        });
        if outcome.is_err() {
            self.roll_back();
        }
        outcome
    }

    fn roll_back(&self) {
        if let Ok(connection) = self.connection()
            && !connection.is_autocommit()
        {
            // A failed rollback leaves the connection in a transaction; `begin` then fails, which is noticed there.
            let _ = connection.execute_batch("ROLLBACK");
        }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.finished && !self.fork.is_forked() {
            self.roll_back();
        }
    }
}

/// Removes the files of a catalog, open in no process.
pub(crate) fn remove_files(volume: &dyn Volume, name: &str) -> Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match volume.remove(&format!("{name}{suffix}")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("removing an unfinished catalog", e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// All files that belong to the catalog, for the account of `stat`.
pub(crate) const FILES: [&str; 4] = [names::CATALOG, names::CATALOG_WAL, names::CATALOG_SHM, names::CATALOG_JOURNAL];
