//! Reclaiming space: forgets history that nobody holds, moves what is needed out of segments that are mostly dead,
//! condemns them in the catalog, and deletes their files once nobody reads them. See "Reclaiming" in `ARCHITECTURE.md`.
//! Every step leaves everything readable; what a crash leaves behind is finished by the next run.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Forget, Forgettable, Moved, SegmentRow, SegmentState, SegmentUse, StoredRow, View};
use crate::control::{Control, Progress};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::{LockMode, Open};
use crate::format::{COLLECTOR, SEGMENT_HEADER_AREA, Tier, names};
use crate::segment::{DeletionLease, Description, Site, read_payload};

use super::commit::{mark_suspect, seal, segment_use, sync_appended};
use super::recover::read_commit;
use super::staging::{Staged, StagedMove};
use super::tier::step_len;
use super::{Store, StoreInner};

/// What to reclaim.
#[derive(Clone, Debug)]
pub struct GcOptions {
    keep_history: Option<Duration>,
    dead_share: f64,
    dry_run: bool,
}

impl GcOptions {
    /// Default share of dead bytes from which a segment is reclaimed: a quarter.
    pub const DEAD_SHARE: f64 = 0.25;

    /// Garbage only: all history is kept, segments are reclaimed from [`GcOptions::DEAD_SHARE`] on.
    pub fn new() -> Self {
        GcOptions { keep_history: None, dead_share: Self::DEAD_SHARE, dry_run: false }
    }

    /// Gives up history older than this: versions that were replaced or deleted longer ago, unless a tag, a consumer of
    /// changes or an open snapshot of this process shows them. Snapshots of other processes are safe for this long and
    /// fail with `Forgotten` afterwards. Zero keeps no history. Default: all of it is kept.
    #[must_use]
    pub fn keep_history(mut self, age: Duration) -> Self {
        self.keep_history = Some(age);
        self
    }

    /// Share of a segment's bytes that must be dead for it to be reclaimed, 0 to 1. Smaller: less garbage stays, more is
    /// copied. A segment that is dead as a whole is always reclaimed, one without a dead byte never.
    #[must_use]
    pub fn dead_share(mut self, share: f64) -> Self {
        self.dead_share = share;
        self
    }

    /// Changes nothing and reports what would be done. Default false.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

impl Default for GcOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What was reclaimed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcReport {
    /// Moments before this commit cannot be looked at any more, but for those that were held. 0: all of them can.
    pub horizon: u64,
    /// Versions of atoms and manifests, states of vector parts and their deletions that were given up.
    pub forgotten: u64,
    /// Segments that were given up.
    pub segments_condemned: u64,
    /// Segment files that were deleted, those left behind by earlier runs included.
    pub segments_deleted: u64,
    /// Segments given up that somebody still reads; a later run deletes them.
    pub segments_held: u64,
    /// Segments worth reclaiming to which another process or an open transaction appends; left as they are.
    pub segments_busy: u64,
    /// Payloads that were moved to other segments.
    pub payloads_moved: u64,
    /// Bytes of records, of payloads and of commits, that were moved to other segments.
    pub bytes_moved: u64,
    /// Bytes of segment files that were deleted.
    pub bytes_freed: u64,
    /// Segments that could not be reclaimed, as sentences: damage in one keeps it, and what can be read of it.
    pub findings: Vec<String>,
    /// Why segments in the cold directory stay as they are; none while it is there.
    pub unavailable: Option<String>,
}

impl GcReport {
    /// Name and value of each count, in a fixed order: all but words.
    pub fn facts(&self) -> [(&'static str, u64); 9] {
        [
            ("horizon", self.horizon),
            ("forgotten", self.forgotten),
            ("segments_condemned", self.segments_condemned),
            ("segments_deleted", self.segments_deleted),
            ("segments_held", self.segments_held),
            ("segments_busy", self.segments_busy),
            ("payloads_moved", self.payloads_moved),
            ("bytes_moved", self.bytes_moved),
            ("bytes_freed", self.bytes_freed),
        ]
    }
}

impl Store {
    /// Reclaims space: old copies of payloads that were moved, and with [`GcOptions::keep_history`] what only forgotten
    /// versions used. Live payloads of a segment worth reclaiming are copied to another one (written, synced, read back,
    /// committed), and so are its commit records; then it is given up in the catalog, and its file is deleted once no
    /// process reads it. Handles, views and snapshots of this process stay valid; readers elsewhere are not disturbed.
    ///
    /// Cancelled or failed in the middle, what was done stays and a second call goes on from there. Blocks while it
    /// copies and syncs; holds a few blocks of 4 MiB. On a full disk segments that are dead as a whole are freed first.
    ///
    /// Fails with `Busy` while another process reclaims, `InvalidArgument`, `DiskFull`, `Io`, `ReadOnly`, `Cancelled`.
    pub fn gc(&self, options: &GcOptions, control: &Control<'_>) -> Result<GcReport> {
        self.gc_inner(options, control).map_err(|e| e.during("gc"))
    }

    fn gc_inner(&self, options: &GcOptions, control: &Control<'_>) -> Result<GcReport> {
        if !(0.0..=1.0).contains(&options.dead_share) {
            return Err(Error::new(ErrorKind::InvalidArgument, "the share of dead bytes is a number from 0 to 1"));
        }
        control.check()?;
        let inner = &*self.inner;
        if options.dry_run {
            inner.check_usable()?;
            return self.foresee(options, control);
        }
        inner.check_writable()?;
        // One at a time: two would copy the same payloads.
        let lock = inner.volume.open(names::LOCK, Open::Create).doing("opening the lock file")?;
        if !lock.try_lock(COLLECTOR, LockMode::Exclusive).doing("locking the store")? {
            return Err(Error::new(ErrorKind::Busy, "another process or thread is reclaiming space")
                .hint("wait until it is done"));
        }
        let (sites, unavailable) = reachable(inner, inner.catalog.read()?.view()?)?;
        let mut report = GcReport { unavailable, ..GcReport::default() };
        self.delete_condemned(&sites, &mut report)?;
        self.forget(options, &mut report)?;
        let found = {
            let reader = inner.catalog.read()?;
            reader.consistently_within(control, |view| candidates(view, options, &Forgettable::default()))?
        };
        let mut candidates = Vec::new();
        for candidate in found.into_iter().filter(|candidate| site_of(&sites, &candidate.row).is_some()) {
            // All of them before anything is moved, which must not go into one of them.
            if self.close_for_appending(&candidate.row)? {
                candidates.push(candidate);
            } else {
                report.segments_busy += 1;
            }
        }
        let mut progress = Progress {
            bytes_total: candidates.iter().map(|candidate| candidate.needed_bytes).sum(),
            items_total: candidates.len() as u64,
            ..Progress::default()
        };
        for candidate in candidates {
            control.check()?;
            let before = report.bytes_moved;
            match self.reclaim(&candidate.row, control, &mut progress, &mut report) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::ColdUnavailable => {
                    report.unavailable.get_or_insert_with(|| e.to_string());
                }
                Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Conflict) => {
                    report.findings.push(format!("segment {}: {e}", candidate.row.id));
                }
                Err(e) => return Err(e),
            }
            // What was freed makes room for what comes next.
            self.delete_condemned(&sites, &mut report)?;
            progress.items_done += 1;
            progress.bytes_done = progress.bytes_done.max(before + candidate.needed_bytes).min(progress.bytes_total);
            control.report(progress);
        }
        inner.segments.trim();
        report.segments_held = inner.catalog.read()?.view()?.condemned()?.len() as u64;
        Ok(report)
    }

    /// What a run would do now.
    fn foresee(&self, options: &GcOptions, control: &Control<'_>) -> Result<GcReport> {
        let inner = &*self.inner;
        let wanted = self.horizon(options)?;
        let reader = inner.catalog.read()?;
        reader.consistently_within(control, |view| {
            let mut report = GcReport { horizon: view.reclaimed()?.forgotten.horizon, ..GcReport::default() };
            let mut forgettable = Forgettable::default();
            if let Some(forget) = wanted {
                forgettable = view.forgettable(&forget)?;
                if forgettable.rows > 0 {
                    report.horizon = forget.horizon;
                    report.forgotten = forgettable.rows;
                }
            }
            let (sites, unavailable) = reachable(inner, view)?;
            report.unavailable = unavailable;
            for row in condemned(view)? {
                let Some(site) = site_of(&sites, &row) else { continue };
                report.segments_deleted += 1;
                report.bytes_freed += file_bytes(site, row.id)?;
            }
            for candidate in candidates(view, options, &forgettable)? {
                let Some(site) = site_of(&sites, &candidate.row) else { continue };
                report.segments_condemned += 1;
                report.segments_deleted += 1;
                report.payloads_moved += candidate.payloads;
                report.bytes_moved += candidate.needed_bytes;
                report.bytes_freed += file_bytes(site, candidate.row.id)?;
            }
            Ok(report)
        })
    }

    /// What to forget: nothing that is younger than it should be, or that somebody holds.
    fn horizon(&self, options: &GcOptions) -> Result<Option<Forget>> {
        let Some(age) = options.keep_history else { return Ok(None) };
        let inner = &*self.inner;
        // Learns what was forgotten before, and lets a snapshot taken meanwhile see that it is held.
        let newest = inner.current_lsn()?;
        let now_us = u64::try_from(inner.volume.now_us()).unwrap_or(0);
        let age_us = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        let reader = inner.catalog.read()?;
        let view = reader.view()?;
        let aged = if age_us == 0 { newest } else { view.lsn_at_time(now_us.saturating_sub(age_us))?.min(newest) };
        let horizon = aged.min(view.oldest_consumer()?.unwrap_or(u64::MAX));
        let mut kept: Vec<u64> = view.tagged()?;
        kept.extend(inner.history.held());
        kept.retain(|&lsn| lsn < horizon && inner.history.shows(lsn));
        kept.sort_unstable();
        kept.dedup();
        let known = view.reclaimed()?.forgotten.horizon;
        Ok((horizon > 0 && horizon >= known).then_some(Forget { horizon, kept }))
    }

    fn forget(&self, options: &GcOptions, report: &mut GcReport) -> Result<()> {
        let inner = &*self.inner;
        report.horizon = inner.catalog.read()?.view()?.reclaimed()?.forgotten.horizon;
        let Some(forget) = self.horizon(options)? else { return Ok(()) };
        let rows = inner.catalog.read()?.view()?.forgettable(&forget)?.rows;
        if rows == 0 {
            return Ok(());
        }
        let mut staged = Staged::new(Arc::clone(&inner.segments));
        report.horizon = forget.horizon;
        staged.forget = Some(forget);
        // Durable whatever the handle says: taking the commit back would not bring back what is deleted next.
        inner.queue.submit(inner, staged, true)?;
        report.forgotten = rows;
        inner.current_lsn().map(drop)
    }

    /// Seals an open segment. False while somebody appends to it.
    fn close_for_appending(&self, row: &SegmentRow) -> Result<bool> {
        let inner = &*self.inner;
        if row.state != SegmentState::Open || row.suspect {
            return Ok(true);
        }
        let Some(mut appender) = inner.segments.own(&inner.catalog, row)? else { return Ok(false) };
        let sealed = seal(inner, &mut appender);
        if appender.has_failed_sync() {
            mark_suspect(inner, appender.id());
        }
        sealed.map(|()| true)
    }

    /// Empties a segment, gives it up.
    fn reclaim(
        &self,
        row: &SegmentRow,
        control: &Control<'_>,
        progress: &mut Progress,
        report: &mut GcReport,
    ) -> Result<()> {
        let inner = &*self.inner;
        let copies = inner.catalog.read()?.view()?.copies_in(row.id)?;
        let mut rest = &copies[..];
        while !rest.is_empty() {
            let (step, later) = rest.split_at(step_len(rest.iter().map(|stored| stored.raw_bytes)));
            self.move_out(step, control, progress, report)?;
            rest = later;
        }
        if self.condemn(row, control, report)? {
            report.segments_condemned += 1;
            // Own readers let go of it; those of other processes do when they notice.
            inner.current_lsn()?;
        }
        Ok(())
    }

    /// Moves payloads to other segments as they are, in one commit.
    fn move_out(
        &self,
        step: &[StoredRow],
        control: &Control<'_>,
        progress: &mut Progress,
        report: &mut GcReport,
    ) -> Result<()> {
        let inner = &*self.inner;
        let mut staged = Staged::new(Arc::clone(&inner.segments));
        for stored in step {
            control.check()?;
            let source = inner.segments.open_copy(&stored.copy, &stored.digest, stored.raw_bytes)?;
            let written = self.append_same(&mut staged, &source, stored.copy.tier, control)?;
            progress.bytes_done = progress.bytes_done.saturating_add(written.extent_bytes).min(progress.bytes_total);
            control.report(*progress);
            staged.moves.push(StagedMove {
                namespace: stored.namespace,
                from: (stored.copy.segment, stored.copy.offset),
                written,
                codec: stored.copy.codec,
                tier: stored.copy.tier,
                base: source.base().cloned(),
            });
        }
        let bytes: u64 = staged.moves.iter().map(|moved| moved.written.extent_bytes).sum();
        self.commit_moves(staged, control)?;
        report.payloads_moved += step.len() as u64;
        report.bytes_moved += bytes;
        Ok(())
    }

    /// Copies the commit records of a segment elsewhere and gives the segment up. False when something in it is needed
    /// after all.
    fn condemn(&self, row: &SegmentRow, control: &Control<'_>, report: &mut GcReport) -> Result<bool> {
        let inner = &*self.inner;
        let commits = inner.catalog.read()?.view()?.commits_in(row.id)?;
        let mut staged = Staged::new(Arc::clone(&inner.segments));
        let mut moved = Vec::new();
        let mut places = Vec::new();
        if !commits.is_empty() {
            let source = inner.segments.reader(row.tier, row.key())?;
            for commit in &commits {
                control.check()?;
                if read_commit(&source, commit.offset)?.id != commit.id {
                    return Err(Error::corrupt("the record is another commit's").segment(row.id).offset(commit.offset));
                }
                let body = read_payload(&source, commit.offset)?;
                let description = Description::commit(body.len() as u64, commit.time_us);
                let appender = staged.appender_for(&inner.catalog, Tier::Warm, &description, body.len() as u64)?;
                let written = appender.append(description, &body, None, None)?;
                let (segment, offset, extent_bytes) = (written.segment, written.offset, written.extent_bytes);
                moved.push(Moved { lsn: commit.lsn, id: commit.id, segment, offset, extent_bytes });
                places.push(written);
            }
            sync_appended(inner, &mut staged)?;
            for (written, commit) in places.iter().zip(&commits) {
                control.check()?;
                let reader = inner.segments.reader(written.site, written.key())?;
                if read_commit(&reader, written.offset)?.id != commit.id {
                    return Err(Error::corrupt("a record written now reads otherwise").segment(written.segment));
                }
            }
        }
        let targets: Vec<SegmentUse> = staged.appenders.iter().map(segment_use).collect();
        let transaction = inner.catalog.begin(true, inner.lock_timeout)?;
        if !transaction.condemn(row.id, &moved, &targets)? {
            return Ok(false);
        }
        if let Err(error) = transaction.commit() {
            if error.kind() != ErrorKind::DiskFull {
                // The log may hold it whole: its next replay decides, and must find the records.
                inner.poison("a commit to the catalog failed");
                staged.appenders.iter_mut().for_each(crate::segment::Appender::leave_undecided);
            }
            return Err(error);
        }
        staged.appenders.iter_mut().for_each(crate::segment::Appender::mark_committed);
        report.bytes_moved += moved.iter().map(|place| place.extent_bytes).sum::<u64>();
        Ok(true)
    }

    /// Deletes the files of condemned segments that nobody reads.
    fn delete_condemned(&self, sites: &[Site], report: &mut GcReport) -> Result<()> {
        let inner = &*self.inner;
        let condemned = condemned(inner.catalog.read()?.view()?)?;
        inner.segments.let_go(&condemned.iter().map(|row| row.id).collect::<Vec<_>>());
        for row in condemned {
            let (id, Some(site)) = (row.id, site_of(sites, &row)) else { continue };
            let bytes = file_bytes(site, id)?;
            // From here on nobody can begin to read it: whoever looked it up before looks again.
            let Some(lease) = DeletionLease::take(site, id)? else { continue };
            site.remove(id)?;
            // The catalog may say that it is gone only once it cannot come back.
            site.sync_dir().map_err(|e| site.error("syncing the segment directory", e))?;
            let transaction = inner.catalog.begin(true, inner.lock_timeout)?;
            transaction.set_deleted(id)?;
            if let Err(error) = transaction.commit() {
                if error.kind() != ErrorKind::DiskFull {
                    inner.poison("a commit to the catalog failed");
                }
                return Err(error);
            }
            site.remove_lease(id)?;
            drop(lease);
            report.segments_deleted += 1;
            report.bytes_freed += bytes;
        }
        Ok(())
    }
}

/// A segment worth reclaiming.
struct Candidate {
    row: SegmentRow,
    /// Bytes of records that have to be copied first.
    needed_bytes: u64,
    payloads: u64,
}

/// Segments worth reclaiming, those with the least to copy first.
fn candidates(view: View<'_>, options: &GcOptions, forgettable: &Forgettable) -> Result<Vec<Candidate>> {
    let sums = view.segment_sums()?;
    let mut found = Vec::new();
    for row in view.segments()? {
        if !matches!(row.state, SegmentState::Open | SegmentState::Sealed) {
            continue;
        }
        let sums = sums.get(&row.id).copied().unwrap_or_default();
        let forgotten = forgettable.bytes.get(&row.id).copied().unwrap_or(0);
        let payload_bytes = (sums.live + sums.history + sums.bases).saturating_sub(forgotten);
        let used = row.used_bytes.saturating_sub(SEGMENT_HEADER_AREA);
        let dead = used.saturating_sub(payload_bytes + sums.log);
        if dead == 0 || (payload_bytes > 0 && (dead as f64) < options.dead_share * used as f64) {
            continue;
        }
        let payloads = if payload_bytes == 0 { 0 } else { view.copies_in(row.id)?.len() as u64 };
        found.push(Candidate { row, needed_bytes: payload_bytes + sums.log, payloads });
    }
    found.sort_by_key(|candidate| candidate.needed_bytes);
    Ok(found)
}

/// Segments that wait to be deleted.
fn condemned(view: View<'_>) -> Result<Vec<SegmentRow>> {
    let mut rows = view.segments()?;
    rows.retain(|row| row.state == SegmentState::Condemned);
    Ok(rows)
}

/// The directories that can be reached, and why segments in the cold one cannot, if there are any.
fn reachable(inner: &StoreInner, view: View<'_>) -> Result<(Vec<Site>, Option<String>)> {
    let (sites, away) = inner.segments.sites().reachable();
    let unavailable = if view.has_cold_segments()? { away.map(|e| e.to_string()) } else { None };
    Ok((sites, unavailable))
}

/// The directory that a segment is in, if it can be reached.
fn site_of<'s>(sites: &'s [Site], row: &SegmentRow) -> Option<&'s Site> {
    sites.iter().find(|site| site.tier() == row.tier)
}

fn file_bytes(site: &Site, segment: u64) -> Result<u64> {
    match site.open(segment, Open::Read).and_then(|file| file.len()) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        other => other.map_err(|e| site.error("asking for a segment's length", e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Reader;
    use crate::testing::SimDisk;
    use crate::testing::crash::small_options;
    use crate::{Digest, Durability, Tensor};

    fn store_with(bytes: &[u8]) -> (Store, StoredRow) {
        let store = Store::open_on(SimDisk::new().process(), &small_options(Durability::Full), true).unwrap();
        store.put("a", &Tensor::from_slice(&[bytes.len() as u64], bytes).unwrap()).unwrap();
        let row = |reader: Reader<'_>| reader.view().unwrap().payload(0, &Digest::of(bytes)).unwrap().unwrap();
        let stored = row(store.inner.catalog.read().unwrap());
        (store, stored)
    }

    // A look-up may be older than the move that emptied its segment. Taken for damage, it would send operators to repair a
    // store that is sound.
    #[test]
    fn a_place_whose_segment_is_gone_is_looked_up_again() {
        let bytes = vec![7_u8; 50_000];
        let (store, stale) = store_with(&bytes);
        store.move_to_tier(None, "", Tier::Cold, &Control::new()).unwrap();
        assert_eq!(store.gc(&GcOptions::new(), &Control::new()).unwrap().segments_deleted, 1);
        let segments = &store.inner.segments;
        let place = &stale.copy;
        assert!(segments.reader(place.site, place.key()).is_err(), "the segment is there");
        let copy = segments.open_copy(place, &stale.digest, stale.raw_bytes).unwrap();
        let mut read = vec![0; bytes.len()];
        copy.read_into(0, &mut read).unwrap();
        assert_eq!(read, bytes);
    }

    // The last look before a segment is given up is all that stands between a mistake elsewhere and a lost payload.
    #[test]
    fn a_segment_in_which_something_lies_is_not_condemned() {
        let (store, stored) = store_with(&[7; 5_000]);
        let row = store.inner.catalog.read().unwrap().view().unwrap().segment(stored.copy.segment).unwrap().unwrap();
        let mut appender = store.inner.segments.own(&store.inner.catalog, &row).unwrap().unwrap();
        seal(&store.inner, &mut appender).unwrap();
        drop(appender);
        let commits = store.inner.catalog.read().unwrap().view().unwrap().commits_in(stored.copy.segment).unwrap();
        let place = |row: &crate::catalog::CommitRow| Moved {
            lsn: row.lsn,
            id: row.id,
            segment: row.segment,
            offset: row.offset,
            extent_bytes: row.extent_bytes,
        };
        let moved: Vec<Moved> = commits.iter().map(place).collect();
        let transaction = store.inner.catalog.begin(true, Duration::from_secs(1)).unwrap();
        assert!(!transaction.condemn(stored.copy.segment, &moved, &[]).unwrap(), "a live copy lies in it");
        assert!(!transaction.condemn(stored.copy.segment, &[], &[]).unwrap(), "so do commits");
    }
}
