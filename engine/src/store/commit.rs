//! Commits: one thread at a time leads, carries out everything that waits as one group, and shares the syncs among it.
//! Order: payloads and commit records into segments → sync → catalog transaction → visible. See "Commit" in
//! `ARCHITECTURE.md`.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::catalog::{
    CodeAgainst, Commit, NewCopy, Operation, PutAtom, PutManifest, SegmentState, SegmentUse, Transaction,
};
use crate::control::Control;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::file::Open;
use crate::format::{Codec, RecordKind, Tier};
use crate::key::Key;
use crate::segment::{Appender, Description, FooterEntry, Written};

use super::StoreInner;
use super::staging::{Change, Content, Expect, ManifestChange, Staged};
use super::vectors::plan_vectors;

/// Room that a commit record and a few small payloads usually need.
const COMMIT_BYTES_USUAL: u64 = 16 << 10;

/// How long a leader waits for as many as came last time, at most: less than a sync takes on any disk.
const LINGER: Duration = Duration::from_micros(150);

/// How often a commit that waits for its turn looks whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(20);

/// Transactions that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct CommitQueue {
    state: Mutex<QueueState>,
    turn: Condvar,
    arrival: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: Vec<Request>,
    done: HashMap<u64, Result<u64>>,
    leading: bool,
    /// Size of the last group: whoever was in it is likely to come again at once.
    expected: usize,
    next_ticket: u64,
}

#[derive(Debug)]
struct Request {
    ticket: u64,
    staged: Staged,
    durable: bool,
}

impl CommitQueue {
    /// Commits and returns the LSN. Blocks until the group this request ends up in is through.
    pub(super) fn submit(&self, store: &StoreInner, staged: Staged, durable: bool) -> Result<u64> {
        self.submit_within(store, staged, durable, &Control::new())
    }

    /// As [`CommitQueue::submit`]. Gives up with `Cancelled` while it waits for its turn or for the catalog's write lock,
    /// and between the syncs of segments; not while other requests share its group, which are not to fail with it.
    pub(super) fn submit_within(
        &self,
        store: &StoreInner,
        staged: Staged,
        durable: bool,
        control: &Control<'_>,
    ) -> Result<u64> {
        let mut state = self.state.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push(Request { ticket, staged, durable });
        self.arrival.notify_one();
        loop {
            if let Some(outcome) = state.done.remove(&ticket) {
                return outcome;
            }
            if !state.leading {
                break;
            }
            if !control.can_stop() {
                self.turn.wait(&mut state);
                continue;
            }
            self.turn.wait_for(&mut state, LOOK_UP);
            if let Err(cancelled) = control.check()
                && let Some(at) = state.waiting.iter().position(|request| request.ticket == ticket)
            {
                let given_up = state.waiting.swap_remove(at);
                drop(state);
                drop(given_up); // takes back what was appended, which is no work to do under the lock
                return Err(cancelled);
            }
        }
        state.leading = true;
        if durable {
            // Those whose commits just returned are about to bring the next; a moment saves them a sync of their own.
            let deadline = Instant::now() + LINGER;
            while state.waiting.len() < state.expected && !self.arrival.wait_until(&mut state, deadline).timed_out() {}
        }
        let group = std::mem::take(&mut state.waiting);
        state.expected = group.len();
        drop(state);

        let tickets: Vec<u64> = group.iter().map(|request| request.ticket).collect();
        // A panic here would leave every other thread waiting for ever.
        let outcomes = catch_unwind(AssertUnwindSafe(|| run(store, group, control)))
            .unwrap_or_else(|_| tickets.iter().map(|_| Err(Error::internal("a commit panicked"))).collect());

        let mut state = self.state.lock();
        state.leading = false;
        state.done.extend(tickets.into_iter().zip(outcomes));
        self.turn.notify_all();
        let mine = state.done.remove(&ticket);
        drop(state);
        maintain(store);
        mine.unwrap_or_else(|| Err(Error::internal("a commit without an outcome")))
    }
}

/// Carries a group out; one outcome per request, in order.
fn run(store: &StoreInner, mut group: Vec<Request>, control: &Control<'_>) -> Vec<Result<u64>> {
    // What one caller gives up is not taken from others.
    let control = if group.len() == 1 { *control } else { Control::new() };
    let error = match Attempt::new(store, &mut group, control).and_then(Attempt::finish) {
        Ok(outcomes) => return outcomes,
        Err(error) => error,
    };
    if error.kind() == ErrorKind::DiskFull {
        if let [request] = group.as_mut_slice()
            && request.staged.only_deletes()
            && store.release_ballast()
        {
            let retried = Attempt::new(store, &mut group, control).and_then(Attempt::finish);
            return retried.unwrap_or_else(|error| vec![Err(error)]);
        }
        if group.len() > 1 {
            // A large commit must not take a small one down with it.
            return group.into_iter().flat_map(|request| run(store, vec![request], &control)).collect();
        }
    }
    group.iter().map(|_| Err(error.duplicate())).collect()
}

/// One try to commit a group. Dropped before it is finished, it takes everything back.
struct Attempt<'s> {
    store: &'s StoreInner,
    control: Control<'s>,
    transaction: Option<Transaction<'s>>,
    group: &'s mut [Request],
    /// For each appender of each request, where it stood before.
    marks: Vec<Vec<u64>>,
    /// Segments for small payloads and commit records, shared by the group, and where each stood before.
    shared: Vec<(Appender, u64)>,
    outcomes: Vec<Result<u64>>,
    changed: Vec<(u32, Key, u64)>,
    durable: bool,
    /// Commits before this group that are not known to be durable: after the first number, up to the second, which is
    /// the newest commit of all.
    unsynced: std::ops::Range<u64>,
    lsn: u64,
    id: [u8; 16],
    time_us: u64,
}

/// Why one request or the whole group failed.
enum Failure {
    Request(Error),
    Group(Error),
}

impl<'s> Attempt<'s> {
    fn new(store: &'s StoreInner, group: &'s mut [Request], control: Control<'s>) -> Result<Self> {
        let durable = group.iter().any(|request| request.durable);
        // Before the write lock: taking over a dead process's segment may need it.
        let mut shared = Vec::new();
        if group.iter_mut().any(|request| request.staged.for_log().is_none()) {
            let record = Description::commit(0, 0);
            let usual = Some(COMMIT_BYTES_USUAL);
            let appender = store.segments.appender(&store.catalog, Tier::Warm, &record, usual, 0)?;
            let mark = appender.tail();
            shared.push((appender, mark));
        }
        let mut attempt = Attempt {
            store,
            control,
            transaction: None,
            marks: group.iter().map(|r| r.staged.appenders.iter().map(Appender::tail).collect()).collect(),
            group,
            shared,
            outcomes: Vec::new(),
            changed: Vec::new(),
            durable,
            unsynced: 0..0,
            lsn: 0,
            id: [0; 16],
            time_us: 0,
        };
        attempt.begin()?;
        for index in 0..attempt.group.len() {
            match attempt.stage(index) {
                Ok(lsn) => attempt.outcomes.push(Ok(lsn)),
                Err(Failure::Request(error)) => attempt.outcomes.push(Err(error)),
                Err(Failure::Group(error)) => return Err(error),
            }
        }
        Ok(attempt)
    }

    /// Takes the write lock and learns what the newest commit is.
    fn begin(&mut self) -> Result<()> {
        let store = self.store;
        let durable = self.durable;
        let transaction = store.catalog.begin_within(durable, store.lock_timeout, &self.control)?;
        let head = transaction.view()?.head()?;
        let boot_id = store.volume.boot_id();
        if !durable && head.boot_id != boot_id {
            transaction.set_boot(boot_id)?;
        }
        self.transaction = Some(transaction);
        self.unsynced = head.synced_lsn..head.lsn;
        (self.lsn, self.id, self.time_us) = (head.lsn, head.commit_id, head.time_us);
        Ok(())
    }

    fn transaction(&self) -> Result<&Transaction<'s>> {
        self.transaction.as_ref().ok_or_else(|| Error::internal("the transaction is over"))
    }

    /// Checks one request, appends its payloads and its commit record, and applies it to the catalog's transaction.
    fn stage(&mut self, index: usize) -> Result<u64, Failure> {
        let lsn = self.lsn + 1;
        let commit = self.plan(index, lsn).map_err(Failure::Request)?;
        let marks: Vec<(usize, u64)> = self.shared.iter().map(|(a, _)| a.tail()).enumerate().collect();
        match self.append(index, commit) {
            Ok((commit, place)) => {
                let uses: Vec<SegmentUse> = self.touched(index).map(segment_use).collect();
                self.transaction()
                    .and_then(|transaction| transaction.apply(&commit, place, &uses))
                    .map_err(Failure::Group)?;
                let request = &self.group[index];
                self.changed.extend(request.staged.changes.keys().map(|(ns, key)| (*ns, key.clone(), lsn)));
                (self.lsn, self.id, self.time_us) = (lsn, commit.id, commit.time_us);
                Ok(lsn)
            }
            Err(error) => {
                // What this request appended to shared segments goes; its own are taken back when it is dropped.
                for (i, (appender, start)) in self.shared.iter_mut().enumerate() {
                    appender.retract(marks.get(i).map_or(*start, |(_, tail)| *tail));
                }
                Err(if error.kind() == ErrorKind::DiskFull { Failure::Group(error) } else { Failure::Request(error) })
            }
        }
    }

    /// Everything about a commit that needs no writing: conditions hold, namespaces have numbers, parents have LSNs.
    fn plan(&self, index: usize, lsn: u64) -> Result<Commit> {
        let transaction = self.transaction()?;
        let staged = &self.group[index].staged;
        for ((namespace, key), expected) in &staged.conditions {
            check_condition(*expected, transaction.current_lsn(*namespace, key)?).map_err(|e| e.key(key))?;
        }
        let mut operations = Vec::new();
        let view = transaction.view()?;
        if !staged.new_namespaces.is_empty() {
            let mut next = view.namespaces()?.last().map_or(1, |(id, _)| id + 1);
            for name in &staged.new_namespaces {
                if view.namespace(name)?.is_none() {
                    operations.push(Operation::CreateNamespace { id: next, name: name.clone() });
                    next += 1;
                }
            }
        }
        for ((namespace, key), change) in &staged.changes {
            operations.push(match change {
                Change::Delete => Operation::Delete { namespace: *namespace, key: key.clone() },
                Change::Put(version) => {
                    let parent = |parent: &Key| {
                        let own = matches!(staged.changes.get(&(*namespace, parent.clone())), Some(Change::Put(_)));
                        let parent_lsn = if own { Some(lsn) } else { transaction.current_lsn(*namespace, parent)? };
                        parent_lsn.map(|lsn| (parent.clone(), lsn)).ok_or_else(|| {
                            Error::new(ErrorKind::NotFound, format!("the parent '{parent}' does not exist")).key(key)
                        })
                    };
                    Operation::Put(PutAtom {
                        namespace: *namespace,
                        key: key.clone(),
                        dtype: version.dtype,
                        shape: version.shape.clone(),
                        encoding: version.encoding.clone(),
                        metadata: version.metadata.clone(),
                        digest: version.digest,
                        parents: version.parents.iter().map(parent).collect::<Result<_>>()?,
                    })
                }
            });
        }
        for ((namespace, prefix, name), change) in &staged.manifests {
            let (namespace, prefix, name) = (*namespace, prefix.clone(), name.clone());
            operations.push(match change {
                ManifestChange::Delete => Operation::DeleteManifest { namespace, prefix, name },
                ManifestChange::Put { format, header } => {
                    let (format, header) = (format.clone(), *header);
                    Operation::PutManifest(PutManifest { namespace, prefix, name, format, header })
                }
            });
        }
        if !staged.vectors.is_empty() {
            let done = self.group[..index].iter().zip(&self.outcomes).filter(|(_, outcome)| outcome.is_ok());
            let earlier: Vec<&Staged> = done.map(|(request, _)| &request.staged).collect();
            operations.extend(plan_vectors(self.store, view, staged, &earlier, self.unsynced.end)?);
        }
        operations.extend(staged.forget.clone().map(Operation::Forget));
        let mut id = [0; 16];
        self.store.volume.random(&mut id).map_err(|e| Error::io("drawing a commit id", e))?;
        // Commit times never go backwards, whatever the clock does, so that "as of" a time is well defined.
        let time_us = u64::try_from(self.store.volume.now_us()).unwrap_or(0).max(self.time_us);
        Ok(Commit {
            lsn,
            time_us,
            id,
            previous_id: self.id,
            group_lsn: self.unsynced.start + 1,
            durable: self.durable,
            copies: Vec::new(),
            operations,
        })
    }

    /// Appends what is not yet in a segment: small payloads, then the commit record. Returns the commit with its copies
    /// filled in, and the place of its record.
    fn append(&mut self, index: usize, mut commit: Commit) -> Result<(Commit, (u64, u64, u64))> {
        // In the order of the keys, so that what is listed together lies together.
        let used: Vec<(u32, Digest)> = self.group[index].staged.used_payloads().collect();
        let mut seen = HashSet::with_capacity(used.len());
        for (namespace, digest) in used.into_iter().filter(|payload| seen.insert(*payload)) {
            let payload = self.group[index].staged.payloads.get(&(namespace, digest)).cloned();
            let payload = payload.ok_or_else(|| Error::internal("a version without a payload"))?;
            let stored = self.transaction()?.view()?.payload(namespace, &digest)?;
            if stored.is_some() && !payload.replaces {
                continue;
            }
            let (written, tier) = match payload.content {
                Content::Written(written) => (written, Tier::Warm),
                Content::Buffered(bytes) => {
                    let appender = self.appender_for(index, &payload.description, payload.raw_bytes)?;
                    (appender.append(payload.description, &bytes, Some(digest), None)?, appender.tier())
                }
                Content::Existing => {
                    return Err(Error::new(ErrorKind::Conflict, "a payload was removed while the transaction ran")
                        .hint("run the transaction again"));
                }
            };
            let replaces = payload.replaces && stored.is_some();
            commit.copies.push(new_copy(namespace, &written, Codec::Raw, tier, replaces));
        }
        for staged in &self.group[index].staged.moves {
            let written = &staged.written;
            let stored = self.transaction()?.view()?.payload(staged.namespace, &written.digest)?;
            // Whoever was faster keeps what they did: dropping a copy that was not verified here is not ours to decide.
            if stored.is_none_or(|stored| (stored.copy.segment, stored.copy.offset) != staged.from) {
                return Err(Error::new(ErrorKind::Conflict, "a payload got another copy while it was being moved")
                    .hint("run the move again"));
            }
            if let Some(base) = &staged.base {
                let base = base.record().digest;
                let view = self.transaction()?.view()?;
                // The base may have become a delta meanwhile, or this payload a base.
                if !view.may_code_against(staged.namespace, &written.digest, &base)? {
                    return Err(Error::new(ErrorKind::Conflict, "a payload can no longer be coded against its base")
                        .hint("run the move again"));
                }
                let (namespace, payload) = (staged.namespace, written.digest);
                commit.operations.push(Operation::CodeAgainst(CodeAgainst { namespace, payload, base }));
            }
            commit.copies.push(new_copy(staged.namespace, written, staged.codec, staged.tier, true));
        }
        let body = commit.encode()?;
        let description = Description::commit(body.len() as u64, commit.time_us);
        let appender = self.appender_for(index, &description, body.len() as u64)?;
        let written = appender.append(description, &body, None, None)?;
        Ok((commit, (written.segment, written.offset, written.extent_bytes)))
    }

    /// A segment with room for a record of a request: its own last one, or one shared by the group.
    fn appender_for(&mut self, index: usize, description: &Description, raw_bytes: u64) -> Result<&mut Appender> {
        let own = self.group[index].staged.for_log();
        if own.map_or(Ok(false), |own| own.fits(description, Some(raw_bytes)))? {
            let own = self.group[index].staged.for_log();
            return own.ok_or_else(|| Error::internal("no segment of its own"));
        }
        self.shared_for(description, raw_bytes)
    }

    /// A shared segment with room for a record.
    fn shared_for(&mut self, description: &Description, raw_bytes: u64) -> Result<&mut Appender> {
        let fits = match self.shared.last() {
            Some((appender, _)) => appender.fits(description, Some(raw_bytes))?,
            None => false,
        };
        if !fits {
            let appender = self.store.segments.own_appender(&self.store.catalog, description, raw_bytes)?;
            let mark = appender.tail();
            self.shared.push((appender, mark));
        }
        self.shared.last_mut().map(|(appender, _)| appender).ok_or_else(|| Error::internal("no shared segment"))
    }

    /// The segments that a request wrote to, its own and the shared ones.
    fn touched(&self, index: usize) -> impl Iterator<Item = &Appender> {
        self.group[index].staged.appenders.iter().chain(self.shared.iter().map(|(appender, _)| appender))
    }

    /// Makes the group durable and visible.
    fn finish(mut self) -> Result<Vec<Result<u64>>> {
        if self.outcomes.iter().all(Result::is_err) {
            return Ok(std::mem::take(&mut self.outcomes));
        }
        self.sync_segments()?;
        let transaction = self.transaction.take().ok_or_else(|| Error::internal("the transaction is over"))?;
        if let Err(error) = transaction.commit() {
            // A full disk stops SQLite before the end of its commit is written. After any other failure the log may hold
            // the commit whole, and its next replay decides: the payloads must stay for that.
            if error.kind() != ErrorKind::DiskFull {
                self.store.poison("a commit to the catalog failed");
                let own = self.group.iter_mut().flat_map(|request| request.staged.appenders.iter_mut());
                own.chain(self.shared.iter_mut().map(|(appender, _)| appender)).for_each(Appender::leave_undecided);
            }
            return Err(error.during("commit"));
        }
        for (appender, _) in &mut self.shared {
            appender.mark_committed();
        }
        for (request, outcome) in self.group.iter_mut().zip(&self.outcomes) {
            if outcome.is_ok() {
                request.staged.appenders.iter_mut().for_each(Appender::mark_committed);
            }
        }
        for (namespace, key, lsn) in &self.changed {
            self.store.cache.bump(*namespace, key.as_ref(), *lsn);
        }
        Ok(std::mem::take(&mut self.outcomes))
    }

    fn sync_segments(&mut self) -> Result<()> {
        if !self.durable {
            let own = self.group.iter_mut().flat_map(|request| request.staged.appenders.iter_mut());
            let mut all = own.chain(self.shared.iter_mut().map(|(appender, _)| appender));
            return all.try_for_each(Appender::write_out);
        }
        // Commits that were not made durable lie before this one, which must not outlive them.
        let older = self.unsynced_segments()?;
        let own = self.group.iter_mut().zip(&self.outcomes).filter(|(_, outcome)| outcome.is_ok());
        let own = own.flat_map(|(request, _)| request.staged.appenders.iter_mut());
        for appender in own.chain(self.shared.iter_mut().map(|(appender, _)| appender)) {
            self.control.check()?;
            appender.sync().map_err(|e| e.during("commit"))?;
        }
        self.control.check()?; // for the last time: from here on it is brought to its end
        // Cold segments are none of them: every commit that appends to one is durable.
        let site = self.store.segments.sites().warm();
        for &segment in &older {
            let file = site.open(segment, Open::Read);
            if let Err(e) = file.and_then(|file| file.sync_data()) {
                self.transaction = None; // rolls back and gives the write lock up
                mark_suspect(self.store, segment);
                return Err(Error::io("syncing an earlier commit", e).segment(segment).during("commit"));
            }
        }
        if !older.is_empty() {
            // They may be new: whoever made them synced nothing.
            site.sync_dir().map_err(|e| Error::io("syncing the segment directory", e))?;
        }
        self.transaction()?.set_synced(self.lsn)
    }

    /// Segments of commits that are not known to be durable. Fails when one of them had a failed sync: syncing it again
    /// would seem to succeed, and its lost bytes would be called durable.
    fn unsynced_segments(&self) -> Result<Vec<u64>> {
        if self.unsynced.is_empty() {
            return Ok(Vec::new());
        }
        let view = self.transaction()?.view()?;
        let segments = view.segments_between(self.unsynced.start, self.unsynced.end)?;
        for &segment in &segments {
            if view.segment(segment)?.is_some_and(|row| row.suspect) {
                let what = "an earlier commit, made without full durability, cannot be made durable: its sync failed";
                return Err(Error::new(ErrorKind::Io, what)
                    .segment(segment)
                    .during("commit")
                    .hint("restart the machine: the next open keeps what reached the disk and takes the rest back"));
            }
        }
        Ok(segments)
    }
}

/// Makes what a transaction appended durable. A segment whose sync fails is marked: earlier commits of lesser durability may
/// lie there, so nobody may sync it again and believe the answer.
pub(super) fn sync_appended(store: &StoreInner, staged: &mut Staged) -> Result<()> {
    for appender in &mut staged.appenders {
        let synced = appender.sync();
        if appender.has_failed_sync() {
            mark_suspect(store, appender.id());
        }
        synced?;
    }
    Ok(())
}

/// A failed sync is final: tells all processes that nothing may be appended to the segment any more. If even that
/// cannot be written, this handle stops writing.
pub(super) fn mark_suspect(store: &StoreInner, segment: u64) {
    let marked = store.catalog.begin(true, store.lock_timeout).and_then(|transaction| {
        transaction.mark_suspect(segment)?;
        transaction.commit()
    });
    if marked.is_err() {
        store.poison("a segment could not be synced, nor marked as suspect");
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        // The write lock goes first: nobody has to wait for the clean-up of segments only we own.
        self.transaction = None;
        for (appender, mark) in &mut self.shared {
            if !appender.is_clean() {
                appender.retract(*mark);
            }
        }
        for (request, marks) in self.group.iter_mut().zip(&self.marks) {
            for (appender, mark) in request.staged.appenders.iter_mut().zip(marks) {
                // The commit record goes, the payloads stay for another try.
                if !appender.is_clean() {
                    appender.retract(*mark);
                }
            }
        }
        // While the leases are still ours, so that nobody takes such a segment over before it is marked.
        let own = self.group.iter().flat_map(|request| &request.staged.appenders);
        let all = own.chain(self.shared.iter().map(|(appender, _)| appender));
        for appender in all.filter(|appender| appender.has_failed_sync()) {
            mark_suspect(self.store, appender.id());
        }
        for (appender, _) in self.shared.drain(..) {
            self.store.segments.give_back(appender);
        }
    }
}

fn new_copy(namespace: u32, written: &Written, codec: Codec, tier: Tier, replaces: bool) -> NewCopy {
    NewCopy {
        namespace,
        digest: written.digest,
        raw_bytes: written.raw_bytes,
        segment: written.segment,
        offset: written.offset,
        extent_bytes: written.extent_bytes,
        stored_bytes: written.stored_bytes,
        codec,
        tier,
        replaces,
    }
}

pub(super) fn segment_use(appender: &Appender) -> SegmentUse {
    SegmentUse {
        id: appender.id(),
        tier: appender.tier(),
        salt: appender.salt(),
        capacity_bytes: appender.capacity_bytes(),
        used_bytes: appender.tail(),
    }
}

fn check_condition(expected: Expect, current: Option<u64>) -> Result<()> {
    let what = match (expected, current) {
        (Expect::Any, _) | (Expect::Absent, None) => return Ok(()),
        (Expect::Version(wanted), Some(current)) if wanted == current => return Ok(()),
        (Expect::Absent, Some(current)) => {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("the key exists since commit {current}")));
        }
        (Expect::Version(wanted), Some(current)) => {
            format!("the current version is of commit {current}, not {wanted}")
        }
        (Expect::Version(wanted), None) => format!("the version of commit {wanted} was deleted"),
    };
    Err(Error::new(ErrorKind::Conflict, what).hint("read the key again and decide anew"))
}

/// Work that may follow a commit and that nobody has to wait for but its leader: sealing full segments, moving
/// SQLite's log. What fails here fails no commit.
fn maintain(store: &StoreInner) {
    if store.check_writable().is_err() {
        return;
    }
    store.tell_usage_if_due();
    for mut appender in store.segments.take_full() {
        if let Err(error) = seal(store, &mut appender) {
            tracing::warn!(segment = appender.id(), %error, "a full segment could not be sealed and stays open");
            if appender.has_failed_sync() {
                mark_suspect(store, appender.id());
            }
        }
    }
    for durable in [true, false] {
        if let Err(error) = store.catalog.checkpoint_if_large(durable)
            && error.kind() == ErrorKind::Io
        {
            tracing::error!(%error, "the catalog could not be checkpointed");
            store.poison("a checkpoint of the catalog failed");
        }
    }
}

pub(super) fn seal(store: &StoreInner, appender: &mut Appender) -> Result<()> {
    let records = store.catalog.read()?.view()?.records(appender.id())?;
    let entries: Vec<FooterEntry> = records
        .into_iter()
        .map(|(offset, extent_bytes, is_commit)| FooterEntry {
            offset,
            extent_bytes,
            kind: if is_commit { RecordKind::Commit } else { RecordKind::Payload },
        })
        .collect();
    appender.seal(&entries)?;
    let transaction = store.catalog.begin(true, store.lock_timeout)?;
    transaction.set_segment_state(appender.id(), SegmentState::Sealed)?;
    transaction.commit()
}
