//! What the first process that opens a store does after a crash: takes back commits that never were promised to
//! survive and did not, rolls forward commits that reached the segments but not the catalog, cuts unfinished tails,
//! removes segments nobody committed to. Every step may be interrupted and is done again by the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Catalog, Commit, Head, SegmentRow, SegmentState, SegmentUse, View};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::{Open, Volume, read_exact_at};
use crate::format::{SEGMENT_HEADER_AREA, SegmentHeaderBytes, names};
use crate::segment::{Lease, PayloadCopy, Scan, SegmentHeader, SegmentKey, SegmentReader, Site};

use super::cold::Sites;
use super::identity::StoreIdentity;

/// Recovers the store. No other process has it open. What is in the cold directory stays as it is while that is away: no
/// commit that was acknowledged waits there, and what waits to be cut is cut by whoever goes on with it.
pub(super) fn recover(
    volume: &Arc<dyn Volume>,
    sites: &Sites,
    catalog: &Catalog,
    identity: &StoreIdentity,
    timeout: Duration,
) -> Result<()> {
    remove_leftovers(&**volume)?;
    take_back_after_power_cut(volume, sites, catalog, timeout)?;
    let (sites, away) = sites.reachable();
    if let Some(error) = away {
        tracing::warn!(%error, "the cold directory is not recovered");
    }
    let rows: BTreeMap<u64, _> = catalog.read()?.view()?.segments()?.into_iter().map(|row| (row.id, row)).collect();
    let mut tails = Vec::new();
    for site in &sites {
        or_later(site, find_tails(site, &rows, identity, &mut tails))?;
    }
    if tails.is_empty() {
        return Ok(());
    }
    roll_forward(&sites, catalog, &tails, timeout)?;
    cut_tails(catalog, tails)
}

/// What cannot be done in the cold directory now, because its disk is full, fails or takes no writes, is done by the next
/// who recovers; the store is opened all the same.
fn or_later(site: &Site, done: Result<()>) -> Result<()> {
    match done {
        Err(error) if site.is_cold() => {
            tracing::warn!(%error, "the cold directory is not recovered");
            Ok(())
        }
        done => done,
    }
}

/// Takes commits back that a power cut damaged. No writer has the store open in this boot; readers may.
pub(super) fn take_back_after_power_cut(
    volume: &Arc<dyn Volume>,
    sites: &Sites,
    catalog: &Catalog,
    timeout: Duration,
) -> Result<()> {
    let head = catalog.read()?.view()?.head()?;
    if head.synced_lsn < head.lsn && head.boot_id != volume.boot_id() {
        take_back_lost_commits(sites, catalog, head, timeout)?;
    }
    Ok(())
}

/// Files of operations that did not come to an end.
fn remove_leftovers(volume: &dyn Volume) -> Result<()> {
    for entry in volume.list("").doing("listing the store")? {
        let is_temporary = [names::STORE_TEMPORARY, names::COLD_TEMPORARY].contains(&entry.name.as_str());
        if is_temporary || entry.name.starts_with(names::CATALOG_REBUILD) {
            volume.remove(&entry.name).doing("removing an unfinished file")?;
        }
    }
    Ok(())
}

/// After a power cut: commits behind the last durable one are kept up to the first whose bytes did not survive.
fn take_back_lost_commits(sites: &Sites, catalog: &Catalog, head: Head, timeout: Duration) -> Result<()> {
    let reader = catalog.read()?;
    let view = reader.view()?;
    let mut survived = head.synced_lsn;
    for row in view.commits_after(head.synced_lsn, usize::MAX)? {
        if !commit_survived(sites, view, row.lsn)? {
            break;
        }
        survived = row.lsn;
    }
    drop(reader);
    let transaction = catalog.begin(true, timeout)?;
    if survived < head.lsn {
        tracing::warn!(from = survived + 1, to = head.lsn, "commits without full durability were lost in a power cut");
        transaction.roll_back_to(survived)?;
    }
    // What was read came from the disk: it is durable now.
    transaction.set_synced(survived)?;
    transaction.commit()
}

fn commit_survived(sites: &Sites, view: View<'_>, lsn: u64) -> Result<bool> {
    let row = view.commits_after(lsn - 1, 1)?.pop().ok_or_else(|| Error::internal("a commit without a row"))?;
    let Some(segment) = view.segment(row.segment)? else { return Ok(false) };
    let log = survivor(&sites.of(segment.tier)?, segment.key())?;
    let logged = log.map_or(Ok(false), |reader| {
        if_whole(read_commit(&reader, row.offset)).map(|commit| commit.is_some_and(|commit| commit.id == row.id))
    });
    if !logged? {
        return Ok(false);
    }
    for stored in view.copies_of_commit(lsn)? {
        let place = &stored.copy;
        let Some(reader) = survivor(&sites.of(place.site)?, place.key())? else { return Ok(false) };
        let sound = PayloadCopy::open(reader, place.offset, &stored.digest, stored.raw_bytes).and_then(|copy| {
            if copy.record().base.is_some() { copy.verify_stored() } else { copy.verify_all(&|| Ok(())).map(drop) }
        });
        if if_whole(sound)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A segment whose file and header are still there. Without its header it could not be told from a stranger's in a
/// rebuild, so its commits count as lost.
fn survivor(site: &Site, key: SegmentKey) -> Result<Option<Arc<SegmentReader>>> {
    let Some(reader) = if_whole(SegmentReader::open(site, key))? else { return Ok(None) };
    let header = read_header(site, key.id)?;
    Ok(header.filter(|header| header.salt == key.salt).map(|_| Arc::new(reader)))
}

/// `None` for damage, errors of the device as errors.
fn if_whole<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => Ok(None),
        other => other.map(Some),
    }
}

/// An open segment with something behind its committed end, or one the catalog does not know.
struct Tail {
    site: Site,
    reader: Arc<SegmentReader>,
    lease: Lease,
    capacity_bytes: u64,
    committed: u64,
    known: bool,
    /// Commits found in the tail: their record's place and contents.
    commits: Vec<((u64, u64, u64), Commit)>,
}

fn find_tails(
    site: &Site,
    rows: &BTreeMap<u64, SegmentRow>,
    identity: &StoreIdentity,
    tails: &mut Vec<Tail>,
) -> Result<()> {
    for entry in site.list().map_err(|e| site.error("listing the segments", e))? {
        let Some(id) = names::parse_segment(&entry.name) else { continue };
        let (key, committed) = match rows.get(&id) {
            // One of that number is elsewhere: this file is not the segment that the catalog knows.
            Some(row) if row.state != SegmentState::Open || row.suspect || row.tier != site.tier() => continue,
            Some(row) => (row.key(), row.used_bytes),
            None => match read_header(site, id)? {
                Some(h) if h.store_uuid == identity.uuid && h.segment == id => {
                    let key = SegmentKey { id, salt: h.salt, capacity_bytes: h.capacity_bytes };
                    (key, SEGMENT_HEADER_AREA)
                }
                _ => {
                    if is_unfinished(site, id)? {
                        remove_segment(site, id)?;
                    }
                    continue;
                }
            },
        };
        let Some(lease) = Lease::take(site, id)? else { continue };
        // A file that is gone is for `verify` to report.
        let Some(reader) = if_whole(SegmentReader::open(site, key))? else { continue };
        let reader = Arc::new(reader);
        let (known, site, capacity_bytes) = (rows.contains_key(&id), site.clone(), key.capacity_bytes);
        let mut tail = Tail { site, lease, capacity_bytes, committed, known, commits: Vec::new(), reader };
        let found = tail.scan()?;
        if found || !known {
            tails.push(tail);
        }
    }
    Ok(())
}

/// True for a segment whose maker died before its header was written: nothing but zeros where the header goes. What else
/// lies there under a segment's name, another store's or one with a rotten header, is not ours to remove.
fn is_unfinished(site: &Site, id: u64) -> Result<bool> {
    let file = site.open(id, Open::Read).map_err(|e| site.error("opening a segment", e))?;
    let mut bytes = [0; SegmentHeaderBytes::LEN];
    let got = file.read_at(&mut bytes, 0).map_err(|e| site.error("reading a segment header", e))?;
    Ok(bytes[..got].iter().all(|&byte| byte == 0))
}

fn read_header(site: &Site, id: u64) -> Result<Option<SegmentHeader>> {
    let file = site.open(id, Open::Read).map_err(|e| site.error("opening a segment", e))?;
    let mut bytes = [0; SegmentHeaderBytes::LEN];
    match read_exact_at(&*file, &mut bytes, 0) {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        other => {
            other.map_err(|e| site.error("reading a segment header", e)).map(|()| SegmentHeader::parse(&bytes).ok())
        }
    }
}

impl Tail {
    /// Collects the commits in the tail. True when there is anything behind the committed end at all.
    fn scan(&mut self) -> Result<bool> {
        let len = self.reader.len()?;
        if len <= self.committed {
            return Ok(false);
        }
        let reader = Arc::clone(&self.reader);
        let mut scan = Scan::strict(&reader, self.committed, len);
        let mut any = false;
        while let Some(found) = scan.next()? {
            any = true;
            if found.is_commit()
                && let Ok(commit) = read_commit(&self.reader, found.record.offset)
            {
                let record = &found.record;
                self.commits.push(((self.reader.id(), record.offset, record.extent_bytes), commit));
            }
        }
        Ok(any || matches!(scan.stop(), crate::segment::ScanStop::Damage(_)))
    }
}

/// Reads and verifies the commit whose record lies at `offset`.
pub(super) fn read_commit(reader: &Arc<SegmentReader>, offset: u64) -> Result<Commit> {
    let bytes = crate::segment::read_payload(reader, offset)?;
    Commit::decode(&bytes).map_err(|e| e.segment(reader.id()).offset(offset))
}

/// Applies commits that follow the catalog's newest one, as far as the chain and the payloads are whole.
fn roll_forward(sites: &[Site], catalog: &Catalog, tails: &[Tail], timeout: Duration) -> Result<()> {
    let mut found: Vec<_> = tails.iter().flat_map(|tail| &tail.commits).collect();
    found.sort_by_key(|(_, commit)| commit.lsn);
    let transaction = catalog.begin(true, timeout)?;
    let head = transaction.view()?.head()?;
    let (mut lsn, mut id) = (head.lsn, head.commit_id);
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    for ((segment, offset, extent), commit) in &found {
        if commit.lsn != lsn + 1 || commit.previous_id != id || !copies_are_sound(tails, commit) {
            continue;
        }
        let places = commit.copies.iter().map(|copy| (copy.segment, copy.offset + copy.extent_bytes));
        for (segment, end) in places.chain([(*segment, offset + extent)]) {
            let known = ends.entry(segment).or_default();
            *known = end.max(*known);
        }
        let uses: Vec<SegmentUse> = tails.iter().filter_map(|tail| tail.use_until(&ends)).collect();
        transaction.apply(commit, (*segment, *offset, *extent), &uses)?;
        (lsn, id) = (commit.lsn, commit.id);
    }
    if let Some((_, lost)) = found.iter().find(|(_, commit)| commit.durable && commit.group_lsn > lsn + 1) {
        // The commits before the one it names were in the catalog, durably. Cutting it away would lose what was
        // acknowledged.
        let what = format!("the segments hold commit {}, the catalog ends at {lsn} and cannot reach it", lost.lsn);
        return Err(Error::new(ErrorKind::CatalogCorrupt, what).hint(
            "an old catalog was put in place, or it lost commits; run `tensoratom repair STORE --rebuild-catalog`",
        ));
    }
    // Committed in any case, because tails are cut next: a commit that a dying process left in the catalog's log unseen
    // must never come up later.
    transaction.count_fence()?;
    if lsn > head.lsn {
        tracing::info!(from = head.lsn + 1, to = lsn, "rolled forward commits that had reached the segments");
        for tail in tails {
            let synced = tail.reader.file().sync_data();
            synced.map_err(|e| tail.site.error("syncing recovered segments", e))?;
        }
        for site in sites {
            site.sync_dir().map_err(|e| site.error("syncing the segment directory", e))?;
        }
        transaction.set_synced(lsn)?;
    }
    transaction.commit()
}

impl Tail {
    fn use_until(&self, ends: &BTreeMap<u64, u64>) -> Option<SegmentUse> {
        let used_bytes = *ends.get(&self.reader.id())?;
        Some(SegmentUse {
            id: self.reader.id(),
            tier: self.site.tier(),
            salt: self.reader.salt(),
            capacity_bytes: self.capacity_bytes,
            used_bytes: used_bytes.max(self.committed),
        })
    }
}

/// True when every payload the commit brings is whole. They all lie in tails: nobody else appended since.
fn copies_are_sound(tails: &[Tail], commit: &Commit) -> bool {
    commit.copies.iter().all(|copy| {
        let tail = tails.iter().find(|tail| tail.reader.id() == copy.segment);
        tail.is_some_and(|tail| {
            PayloadCopy::open(Arc::clone(&tail.reader), copy.offset, &copy.digest, copy.raw_bytes)
                // The extent is what the account of the segment goes by.
                .and_then(|found| {
                    match found.record().base {
                        // Its base may lie anywhere; whether the two fit was seen before the commit was written.
                        Some(_) => found.verify_stored()?,
                        None => drop(found.verify_all(&|| Ok(()))?),
                    }
                    Ok(found.record().extent_bytes)
                })
                .is_ok_and(|extent_bytes| extent_bytes == copy.extent_bytes)
        })
    })
}

/// Removes what was not committed: the rest of each tail, and segments without any commit.
fn cut_tails(catalog: &Catalog, tails: Vec<Tail>) -> Result<()> {
    for tail in tails {
        let (site, id) = (&tail.site, tail.reader.id());
        let row = catalog.read()?.view()?.segment(id)?;
        let cut = || match &row {
            None => remove_segment(site, id),
            Some(row) => {
                let file = site.open(id, Open::Write).map_err(|e| site.error("opening a segment", e))?;
                file.set_len(row.used_bytes).map_err(|e| site.error("cutting a segment", e))?;
                file.sync_data().map_err(|e| site.error("syncing a cut segment", e))
            }
        };
        or_later(site, cut())?;
        debug_assert!(tail.known || tail.committed == SEGMENT_HEADER_AREA);
        drop(tail.lease);
    }
    Ok(())
}

fn remove_segment(site: &Site, id: u64) -> Result<()> {
    site.remove(id)?;
    if site.is_cold() {
        // The lease keeps the number from being used again, until the file cannot come back.
        site.sync_dir().map_err(|e| site.error("syncing the segment directory", e))?;
    }
    site.remove_lease(id)
}
