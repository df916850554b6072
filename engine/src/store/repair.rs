//! Repair: makes `store.json` and the catalog anew from the segments alone. Needs the store to itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::catalog::{Catalog, Commit, CommitId, SegmentState, SegmentUse, Transaction, remove_files};
use crate::control::{Control, Progress};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::{File, ForkGuard, Open, OsVolume, Volume, read_exact_at};
use crate::format::{RecordHeaderBytes, SEGMENT_HEADER_AREA, SegmentHeaderBytes, Tier, TrailerBytes, names};
use crate::segment::{Record, Scan, ScanStop, SegmentHeader, SegmentKey, SegmentReader, Site, read_footer};

use super::adopt::adopt;
use super::cold::Sites;
use super::identity::StoreIdentity;
use super::open::{Gate, check_medium, no_directory, not_a_store};
use super::options::Options;
use super::recover::read_commit;

/// What to repair.
#[derive(Clone, Debug, Default)]
pub struct RepairOptions {
    rebuild_catalog: bool,
    without_cold: bool,
}

impl RepairOptions {
    /// Only what can be told to be broken: a damaged or missing `store.json`, wrong counters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds the catalog anew by replaying the commits logged in the segments. The old catalog is kept aside as
    /// `catalog.old.tadb`.
    #[must_use]
    pub fn rebuild_catalog(mut self, rebuild: bool) -> Self {
        self.rebuild_catalog = rebuild;
        self
    }

    /// Rebuilds although the cold directory is away. The new catalog knows that payloads lie there, but not enough to read
    /// them: when the directory is back, the catalog has to be rebuilt once more. Default false.
    #[must_use]
    pub fn without_cold(mut self, without_cold: bool) -> Self {
        self.without_cold = without_cold;
        self
    }
}

/// What a repair did and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairReport {
    /// `store.json` was written anew.
    pub identity_rewritten: bool,
    /// The catalog was built anew.
    pub catalog_rebuilt: bool,
    /// Segments read.
    pub segments_scanned: u64,
    /// Records found in them.
    pub records_found: u64,
    /// Commits replayed.
    pub commits_applied: u64,
    /// Commits whose record is damaged or missing, although later ones are there: first and last LSN of each gap.
    pub commits_missing: Vec<(u64, u64)>,
    /// Payloads whose place only a lost commit named, and of which a whole copy was found all the same.
    pub payloads_adopted: u64,
    /// Current atoms in the new catalog.
    pub atoms: u64,
    /// Places in segments that could not be read, and a cold directory that is away, as sentences.
    pub findings: Vec<String>,
}

impl RepairReport {
    /// Every number with its name, flags as 0 and 1, in the order tools show them. Of `commits_missing` it is how many.
    pub fn facts(&self) -> [(&'static str, u64); 8] {
        let missing = |(first, last): &(u64, u64)| last.saturating_sub(*first).saturating_add(1);
        [
            ("identity_rewritten", u64::from(self.identity_rewritten)),
            ("catalog_rebuilt", u64::from(self.catalog_rebuilt)),
            ("segments_scanned", self.segments_scanned),
            ("records_found", self.records_found),
            ("commits_applied", self.commits_applied),
            ("commits_missing", self.commits_missing.iter().map(missing).fold(0, u64::saturating_add)),
            ("payloads_adopted", self.payloads_adopted),
            ("atoms", self.atoms),
        ]
    }
}

/// Repairs the store in a directory. Blocks until every segment was read. Fails with `Busy` while any process has the
/// store open, `NotAStore` when there are no segments either, `ColdUnavailable` when a catalog is to be rebuilt while the cold
/// directory is away: what lies there would be taken for lost.
pub fn repair(path: impl AsRef<Path>, options: &RepairOptions, control: &Control<'_>) -> Result<RepairReport> {
    let volume = OsVolume::open(path.as_ref()).map_err(no_directory);
    volume
        .and_then(|volume| repair_volume(Arc::new(volume), options, control))
        .map_err(|e| e.during("repair").at_path(path.as_ref()))
}

pub(crate) fn repair_volume(
    volume: Arc<dyn Volume>,
    options: &RepairOptions,
    control: &Control<'_>,
) -> Result<RepairReport> {
    check_medium(&*volume, false)?;
    // Looked at before the lock file is made: a directory of other things is left as it is.
    let holds = |name| volume.exists(name).doing("looking for a store");
    if !holds(names::STORE)? && !holds(names::SEGMENTS)? {
        return Err(not_a_store("the directory holds no store"));
    }
    let defaults = Options::new();
    let _gate = Gate::alone(&*volume, defaults.lock_timeout)?;
    let mut report = RepairReport::default();
    let mut segments = find_segments(&Site::warm(&volume), &mut report)?;
    let identity = match StoreIdentity::read(&*volume) {
        Ok(Some(identity)) => identity,
        Err(e) if e.kind() != ErrorKind::NotAStore => return Err(e),
        _ => {
            let identity = derive_identity(&*volume, &segments)?;
            identity.write(&*volume)?;
            report.identity_rewritten = true;
            identity
        }
    };
    let fork = Arc::new(ForkGuard::new().doing("setting up the fork guard")?);
    let sites = Sites::read(&volume, identity.uuid, || Ok(false))?;
    if sites.has_cold() {
        match sites.of(Tier::Cold).and_then(|site| find_segments(&site, &mut report)) {
            Ok(cold) => segments.extend(cold),
            Err(away) if options.rebuild_catalog && !options.without_cold => return Err(away),
            Err(away) => report.findings.push(format!("segments there were not looked at: {away}")),
        }
    }
    drop_twins(&mut segments, &mut report);
    if options.rebuild_catalog {
        rebuild(&volume, &fork, &identity, &segments, sites.has_cold(), control, &mut report)?;
    } else {
        let catalog = Catalog::open(Arc::clone(&volume), fork, names::CATALOG, identity.uuid, false)?;
        let transaction = catalog.begin(true, defaults.lock_timeout)?;
        let findings = transaction.view()?.audit()?;
        if !findings.is_empty() {
            transaction.recount()?;
            transaction.commit()?;
            report.findings.extend(findings.into_iter().map(|finding| format!("corrected {finding}")));
        }
        report.atoms = catalog.read()?.view()?.totals()?.atoms;
    }
    Ok(report)
}

/// A segment file and what identifies it.
pub(super) struct Found {
    pub(super) id: u64,
    pub(super) salt: u64,
    pub(super) capacity_bytes: u64,
    pub(super) site: Site,
    store_uuid: Option<[u8; 16]>,
    chunk_bytes: Option<u32>,
    created_us: u64,
}

impl Found {
    pub(super) fn key(&self) -> SegmentKey {
        SegmentKey { id: self.id, salt: self.salt, capacity_bytes: self.capacity_bytes }
    }
}

fn find_segments(site: &Site, report: &mut RepairReport) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let entries = match site.list() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|e| site.error("listing the segments", e))?,
    };
    for entry in entries {
        let Some(id) = names::parse_segment(&entry.name) else { continue };
        let file = site.open(id, Open::Read).map_err(|e| site.error("opening a segment", e))?;
        match identify(&*file, id, site)? {
            Some(segment) => {
                if segment.store_uuid.is_none() {
                    report
                        .findings
                        .push(format!("segment {id}: the header is damaged; its records are read all the same"));
                }
                found.push(segment);
            }
            None => report.findings.push(format!("segment {id}: neither header nor records can be recognised")),
        }
    }
    Ok(found)
}

/// Orders segments by number. Of two with the same number, which only copying by hand makes, the store's own counts.
fn drop_twins(segments: &mut Vec<Found>, report: &mut RepairReport) {
    segments.sort_by_key(|segment| (segment.id, segment.site.is_cold()));
    segments.dedup_by(|later, first| {
        let is_twin = later.id == first.id;
        if is_twin {
            report.findings.push(format!("segment {}: the file in the cold directory is not read", first.id));
        }
        is_twin
    });
}

/// What a segment file is, from its header, its trailer, or its first record: whichever is whole.
fn identify(file: &dyn File, id: u64, site: &Site) -> Result<Option<Found>> {
    let len = file.len().map_err(|e| site.error("reading a segment", e))?;
    let read = |offset: u64, len: usize| -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        read_exact_at(file, &mut bytes, offset).is_ok().then_some(bytes)
    };
    if let Some(h) =
        read(0, SegmentHeaderBytes::LEN).and_then(|b| SegmentHeader::parse(&b).ok()).filter(|h| h.segment == id)
    {
        return Ok(Some(Found {
            id,
            salt: h.salt,
            capacity_bytes: h.capacity_bytes,
            site: site.clone(),
            store_uuid: Some(h.store_uuid),
            chunk_bytes: Some(h.chunk_bytes),
            created_us: h.created_us,
        }));
    }
    let salt_at = |offset: u64, field: usize| -> Option<u64> {
        Some(u64::from_le_bytes(read(offset, field + 8)?.get(field..)?.try_into().ok()?))
    };
    let trailer = len.checked_sub(TrailerBytes::LEN as u64);
    let from_trailer = trailer.and_then(|offset| salt_at(offset, std::mem::offset_of!(TrailerBytes, salt)));
    let from_record = salt_at(SEGMENT_HEADER_AREA, std::mem::offset_of!(RecordHeaderBytes, salt));
    for salt in [from_trailer.filter(|&salt| read_footer(file, salt).is_ok()), from_record].into_iter().flatten() {
        let first = read(
            SEGMENT_HEADER_AREA,
            4096.min(usize::try_from(len.saturating_sub(SEGMENT_HEADER_AREA)).unwrap_or(4096)),
        );
        let parses = first.is_some_and(|b| Record::parse(&b, id, salt, SEGMENT_HEADER_AREA, len).is_ok());
        if parses || read_footer(file, salt).is_ok() {
            return Ok(Some(Found {
                id,
                salt,
                capacity_bytes: len.max(SEGMENT_HEADER_AREA),
                site: site.clone(),
                store_uuid: None,
                chunk_bytes: None,
                created_us: 0,
            }));
        }
    }
    Ok(None)
}

/// The store's identity from its segments' headers: the one most of them name.
fn derive_identity(volume: &dyn Volume, segments: &[Found]) -> Result<StoreIdentity> {
    let mut votes: HashMap<[u8; 16], usize> = HashMap::new();
    segments.iter().filter_map(|s| s.store_uuid).for_each(|uuid| *votes.entry(uuid).or_default() += 1);
    let Some((uuid, _)) = votes.into_iter().max_by_key(|&(_, count)| count) else {
        return Err(Error::new(ErrorKind::NotAStore, "there is neither a store.json nor a segment to learn from"));
    };
    let mine = segments.iter().filter(|s| s.store_uuid == Some(uuid));
    let created_us = mine.clone().map(|s| s.created_us).min();
    Ok(StoreIdentity {
        uuid,
        segment_bytes: mine.clone().map(|s| s.capacity_bytes).min().unwrap_or(Options::SEGMENT_BYTES).max(128 << 10),
        chunk_bytes: mine.filter_map(|s| s.chunk_bytes).next().unwrap_or(Options::CHUNK_BYTES),
        created_us: created_us.unwrap_or_else(|| u64::try_from(volume.now_us()).unwrap_or(0)),
    })
}

/// A commit found in a segment, with the place of its record.
struct Logged {
    commit: Commit,
    place: (u64, u64, u64),
}

fn rebuild(
    volume: &Arc<dyn Volume>,
    fork: &Arc<ForkGuard>,
    identity: &StoreIdentity,
    segments: &[Found],
    has_cold: bool,
    control: &Control<'_>,
    report: &mut RepairReport,
) -> Result<()> {
    let mine: Vec<&Found> = segments.iter().filter(|s| s.store_uuid.is_none_or(|uuid| uuid == identity.uuid)).collect();
    let mut logged = Vec::new();
    let mut sealed = Vec::new();
    for (done, segment) in mine.iter().enumerate() {
        control.check()?;
        control.report(Progress { items_done: done as u64, items_total: mine.len() as u64, ..Progress::default() });
        if read_log(segment, &mut logged, report)? {
            sealed.push(segment.id);
        }
    }
    let chain = choose_chain(logged, report);
    remove_files(&**volume, names::CATALOG_REBUILD)?;
    Catalog::create(Arc::clone(volume), Arc::clone(fork), names::CATALOG_REBUILD, identity.uuid)?;
    {
        let catalog =
            Catalog::open(Arc::clone(volume), Arc::clone(fork), names::CATALOG_REBUILD, identity.uuid, false)?;
        let transaction = catalog.begin(true, Options::LOCK_TIMEOUT)?;
        let away = replay(&transaction, &mine, &chain, has_cold, control)?;
        adopt(&transaction, &mine, &away, control, report)?;
        finish(&transaction, &mine, &sealed, &away, chain.last().map_or(0, |entry| entry.commit.lsn))?;
        transaction.commit()?;
        report.commits_applied = chain.len() as u64;
        report.atoms = catalog.read()?.view()?.totals()?.atoms;
    }
    exchange_catalogs(&**volume)?;
    report.catalog_rebuilt = true;
    Ok(())
}

/// Reads the commits logged in a segment. True when the segment is sealed.
fn read_log(segment: &Found, logged: &mut Vec<Logged>, report: &mut RepairReport) -> Result<bool> {
    let id = segment.id;
    let reader = Arc::new(SegmentReader::open(&segment.site, segment.key())?);
    let footer = read_footer(reader.file(), segment.salt).ok();
    let limit = footer.as_ref().map_or(reader.len()?, |footer| footer.records_end);
    report.segments_scanned += 1;
    let mut scan = Scan::resync(&reader, SEGMENT_HEADER_AREA, limit);
    while let Some(found) = scan.next()? {
        report.records_found += 1;
        let record = &found.record;
        if found.after_damage {
            report.findings.push(format!("segment {id}: bytes before {} make no sense", record.offset));
        }
        if !found.is_commit() {
            continue;
        }
        match read_commit(&reader, record.offset) {
            Ok(commit) => logged.push(Logged { commit, place: (id, record.offset, record.extent_bytes) }),
            Err(e) if e.kind() == ErrorKind::Corrupt => report.findings.push(e.to_string()),
            Err(e) => return Err(e),
        }
    }
    if let ScanStop::Damage(error) = scan.stop() {
        report.findings.push(format!("segment {id}: {}", error.what()));
    }
    Ok(footer.is_some())
}

/// One commit per LSN, in order. Where a commit that failed left its record beside the one that took its number, the
/// next commit tells which of the two it followed.
fn choose_chain(logged: Vec<Logged>, report: &mut RepairReport) -> Vec<Logged> {
    let mut by_lsn: BTreeMap<u64, Vec<Logged>> = BTreeMap::new();
    for entry in logged {
        by_lsn.entry(entry.commit.lsn).or_default().push(entry);
    }
    let mut chain: Vec<Logged> = Vec::new();
    let mut wanted: Option<(u64, CommitId)> = None;
    for (lsn, mut candidates) in by_lsn.into_iter().rev() {
        let follows = |entry: &Logged| wanted == Some((lsn, entry.commit.id));
        // With nobody behind to tell, the later one took the number.
        let newest =
            |candidates: &[Logged]| (0..candidates.len()).max_by_key(|&i| candidates[i].commit.time_us).unwrap_or(0);
        // The newest place of a record that was moved: the older one waits to be deleted with its segment.
        candidates.sort_by_key(|entry| std::cmp::Reverse(entry.place.0));
        let index = candidates.iter().position(follows).unwrap_or_else(|| newest(&candidates));
        let chosen = candidates.swap_remove(index);
        wanted = Some((lsn.saturating_sub(1), chosen.commit.previous_id));
        chain.push(chosen);
    }
    chain.reverse();
    let mut next = 1;
    for entry in &chain {
        if entry.commit.lsn > next {
            report.commits_missing.push((next, entry.commit.lsn - 1));
        }
        next = entry.commit.lsn + 1;
    }
    chain
}

/// Applies the commits. Returns the segments that they name and that may be in the cold directory, which is away.
fn replay(
    transaction: &Transaction<'_>,
    segments: &[&Found],
    chain: &[Logged],
    has_cold: bool,
    control: &Control<'_>,
) -> Result<BTreeSet<u64>> {
    let by_id: BTreeMap<u64, &&Found> = segments.iter().map(|segment| (segment.id, segment)).collect();
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    let mut away: BTreeSet<u64> = BTreeSet::new();
    for (done, entry) in chain.iter().enumerate() {
        control.check()?;
        control.report(Progress { items_done: done as u64, items_total: chain.len() as u64, ..Progress::default() });
        let commit = &entry.commit;
        let (segment, offset, extent) = entry.place;
        let copies = commit.copies.iter().map(|copy| (copy.segment, copy.offset.saturating_add(copy.extent_bytes)));
        let mut uses = Vec::new();
        for (id, end) in copies.chain([(segment, offset + extent)]) {
            let used = ends.entry(id).or_insert(SEGMENT_HEADER_AREA);
            *used = end.max(*used);
            let (salt, capacity_bytes, tier) = match by_id.get(&id) {
                Some(found) => (found.salt, found.capacity_bytes, found.site.tier()),
                // Its file is gone, or in the cold directory that is away: reads will say so.
                None if has_cold && commit.copies.iter().any(|c| c.segment == id && c.tier == Tier::Cold) => {
                    away.insert(id);
                    (0, SEGMENT_HEADER_AREA, Tier::Cold)
                }
                None => (0, SEGMENT_HEADER_AREA, Tier::Warm),
            };
            uses.push(SegmentUse { id, tier, salt, capacity_bytes, used_bytes: *used });
        }
        transaction.apply(commit, entry.place, &uses)?;
    }
    Ok(away)
}

fn finish(
    transaction: &Transaction<'_>,
    segments: &[&Found],
    sealed: &[u64],
    away: &BTreeSet<u64>,
    lsn: u64,
) -> Result<()> {
    for &id in sealed {
        transaction.set_segment_state(id, SegmentState::Sealed)?;
    }
    // Nothing is known of their files, so nobody may append to one, or cut it.
    away.iter().try_for_each(|&id| transaction.mark_suspect(id))?;
    // Copies there were given up by later commits, or by a commit that forgot their payloads.
    let found: BTreeSet<u64> = segments.iter().map(|segment| segment.id).collect();
    transaction.retire_missing(|id| found.contains(&id))?;
    transaction.set_synced(lsn)?;
    transaction.recount()
}

/// Puts the rebuilt catalog in place of the old one, which is kept aside with its log. Interrupted in the middle, the
/// store has no catalog and says so; another repair completes it.
fn exchange_catalogs(volume: &dyn Volume) -> Result<()> {
    remove_files(volume, names::CATALOG_OLD)?;
    let io = |e| Error::io("exchanging the catalogs", e);
    for suffix in ["-wal", "-shm", "-journal", ""] {
        let from = format!("{}{suffix}", names::CATALOG);
        if volume.exists(&from).map_err(io)? {
            volume.rename(&from, &format!("{}{suffix}", names::CATALOG_OLD)).map_err(io)?;
        }
    }
    // A log of the old catalog beside the new one would be replayed into it: the order of these two matters.
    volume.sync_dir("").map_err(io)?;
    volume.rename(names::CATALOG_REBUILD, names::CATALOG).map_err(io)?;
    volume.sync_dir("").map_err(io)
}
