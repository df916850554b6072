//! Reads everything back: structure, chunk checksums, digests. Reports every damaged atom with its place, changes
//! nothing, and does not stop at the first find.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use crate::catalog::{Commit, CommitRow, CopyRow, PayloadId, SegmentRow, SegmentState, Span, StoredRow, View};
use crate::control::{Control, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{Open, read_exact_at};
use crate::format::SegmentHeaderBytes;
use crate::key::Key;
use crate::segment::{FooterEntry, PayloadCopy, SegmentHeader, Site, read_footer};

use super::Store;
use super::recover::read_commit;

/// Payloads handed to the workers at a time.
const BATCH: usize = 512;

/// What to verify.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    scope: Option<(u32, String)>,
}

impl VerifyOptions {
    /// The whole store: every payload, every segment's structure, the log of commits, the catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only the current atoms of the default namespace whose names start with this.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.scope = Some((0, prefix.into()));
        self
    }

    /// As [`VerifyOptions::prefix`], in another namespace.
    #[must_use]
    pub fn prefix_in(mut self, namespace: &super::Namespace, prefix: impl Into<String>) -> Self {
        self.scope = Some((namespace.id(), prefix.into()));
        self
    }
}

/// One thing found damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Namespace of the atom.
    pub namespace: String,
    /// Key of the atom; none for damage to the structure that no atom suffers from.
    pub key: Option<Key>,
    /// Version of the atom, or of the part of a vector set; none for structure.
    pub lsn: Option<u64>,
    /// Whether that is the current version.
    pub is_current: bool,
    /// Segment concerned.
    pub segment: Option<u64>,
    /// Offset in the segment.
    pub offset: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// Outcome of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Current atoms whose payloads were read.
    pub atoms_checked: u64,
    /// Distinct payload copies read.
    pub payloads_checked: u64,
    /// Chunks whose checksums were compared.
    pub chunks_checked: u64,
    /// Payload bytes read.
    pub bytes_checked: u64,
    /// What was found. Empty when all is sound.
    pub damaged: Vec<Damage>,
    /// Payload copies that could not be looked at, because the cold directory is away. Nothing is known of them.
    pub payloads_unavailable: u64,
    /// Why; none while the cold directory is there.
    pub unavailable: Option<String>,
}

impl VerifyReport {
    /// True when nothing was found. What could not be looked at counts as sound; see [`VerifyReport::is_complete`].
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
    }

    /// True when everything asked for could be looked at.
    pub fn is_complete(&self) -> bool {
        self.unavailable.is_none()
    }
}

impl Store {
    /// Verifies by positioned reads on all threads. Blocks for as long as reading everything takes. Finding damage is no
    /// error; only the device refusing to list files, or the cancel flag, ends it early.
    pub fn verify(&self, options: &VerifyOptions, control: &Control<'_>) -> Result<VerifyReport> {
        self.inner.check_usable()?;
        self.verify_inner(options, control).map_err(|e| e.during("verify"))
    }

    fn verify_inner(&self, options: &VerifyOptions, control: &Control<'_>) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let mut found: HashMap<PayloadId, Error> = HashMap::new();
        let scope = match &options.scope {
            None => {
                self.verify_structure(&mut report, control)?;
                None
            }
            Some((namespace, prefix)) => Some(self.payloads_under(*namespace, prefix)?),
        };
        let reader = self.inner.catalog.read()?;
        let totals = reader.view()?.totals()?;
        report.atoms_checked = scope.as_ref().map_or(totals.atoms, |(atoms, _)| *atoms);
        let items_total = scope.as_ref().map_or(totals.payloads, |(_, payloads)| payloads.len() as u64);
        let done = AtomicU64::new(0);
        let mut after = (PayloadId::MIN, 0, 0);
        let mut seen = BTreeSet::new();
        loop {
            let batch = reader.view()?.stored_after(after, BATCH)?;
            let Some(last) = batch.last() else { break };
            after = (last.payload, last.copy.segment, last.copy.offset);
            let wanted: Vec<StoredRow> = batch
                .into_iter()
                .filter(|row| scope.as_ref().is_none_or(|(_, payloads)| payloads.contains(&row.payload)))
                .collect();
            seen.extend(wanted.iter().map(|row| row.payload));
            let outcomes: Vec<_> = self.inner.segments.pool()?.install(|| {
                let check = |row: &StoredRow| {
                    let outcome = self.verify_payload(row, control);
                    let bytes_done = done.fetch_add(row.raw_bytes, Ordering::Relaxed) + row.raw_bytes;
                    control.report(Progress {
                        bytes_done,
                        bytes_total: totals.stored_bytes,
                        items_done: report.payloads_checked,
                        items_total,
                    });
                    outcome
                };
                wanted.par_iter().map(check).collect()
            });
            for (row, outcome) in wanted.into_iter().zip(outcomes) {
                report.payloads_checked += 1;
                report.bytes_checked += row.raw_bytes;
                match outcome {
                    Ok(chunks) => report.chunks_checked += chunks,
                    Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
                    // Its disk is away, or went away meanwhile. What a disk refuses that is there is damage.
                    Err(e) if self.is_away(&e) => {
                        report.unavailable.get_or_insert_with(|| e.to_string());
                        report.payloads_unavailable += 1;
                        report.payloads_checked -= 1;
                        report.bytes_checked -= row.raw_bytes;
                    }
                    Err(e) => {
                        found.insert(row.payload, e);
                    }
                }
            }
        }
        let lost: Vec<PayloadId> = match &scope {
            None => reader.view()?.payloads_without_copy()?,
            Some((_, payloads)) => payloads.iter().filter(|id| !seen.contains(*id)).copied().collect(),
        };
        found.extend(lost.into_iter().map(|id| (id, Error::corrupt("no copy of the payload is left"))));
        self.name_damage(reader.view()?, &found, &mut report).map(|()| report)
    }

    /// Reads one copy back. Damage of a copy that is no longer the payload's is none: the one that took its place counts.
    fn verify_payload(&self, row: &StoredRow, control: &Control<'_>) -> Result<u64> {
        let mut place = row.copy.clone();
        loop {
            let outcome = self.verify_copy(row, &place, control);
            if outcome.is_ok() {
                return outcome;
            }
            match self.inner.catalog.read()?.view()?.place_of(row.payload, &row.digest)? {
                Some(now) if (now.segment, now.offset) != (place.segment, place.offset) => place = now,
                Some(_) => return outcome,
                // Forgotten meanwhile, if it was a payload of history.
                None => return if self.is_payload(row)? { outcome } else { Ok(0) },
            }
        }
    }

    fn is_away(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::ColdUnavailable && self.inner.segments.sites().cold().is_err()
    }

    fn is_payload(&self, row: &StoredRow) -> Result<bool> {
        Ok(self.inner.catalog.read()?.view()?.payload_of(row.namespace, &row.digest)?.is_some())
    }

    fn verify_copy(&self, row: &StoredRow, place: &CopyRow, control: &Control<'_>) -> Result<u64> {
        control.check()?;
        let reader = self.inner.segments.reader(place.site, place.key())?;
        // Opened anew, not from the cache: header and chunk table are verified as well.
        let copy = PayloadCopy::open(reader, place.offset, &row.digest, row.raw_bytes)?;
        self.inner.segments.with_base(copy, row.payload)?.verify_all(&|| control.check())
    }

    /// Number of atoms and their payloads under a prefix.
    fn payloads_under(&self, namespace: u32, prefix: &str) -> Result<(u64, BTreeSet<PayloadId>)> {
        let reader = self.inner.catalog.read()?;
        let span = Span { prefix, after: None, limit: usize::MAX };
        let rows = reader.view()?.list(namespace, span, crate::catalog::LATEST)?;
        Ok((rows.len() as u64, rows.into_iter().map(|(row, _)| row.payload).collect()))
    }

    /// Turns damaged payloads into damaged atoms.
    fn name_damage(&self, view: View<'_>, found: &HashMap<PayloadId, Error>, report: &mut VerifyReport) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        let namespaces: BTreeMap<u32, String> = view.namespaces()?.into_iter().collect();
        let mut named = BTreeSet::new();
        let mut damaged = Vec::new();
        view.users(
            |payload| found.contains_key(&payload),
            |payload, namespace, key, lsn, is_current| {
                named.insert(payload);
                let namespace = namespaces.get(&namespace).cloned().unwrap_or_default();
                damaged.extend(found.get(&payload).map(|error| Damage {
                    namespace,
                    key: Some(key),
                    lsn: Some(lsn),
                    is_current,
                    ..place_of(error)
                }));
            },
        )?;
        for (payload, name) in view.manifests_with(|payload| found.contains_key(&payload))? {
            named.insert(payload);
            damaged.extend(found.get(&payload).map(|error| {
                let damage = place_of(error);
                Damage { what: format!("header of the imported file '{name}': {}", damage.what), ..damage }
            }));
        }
        for part in view.parts_with(|payload| found.contains_key(&payload))? {
            named.insert(part.payload);
            let namespace = namespaces.get(&part.namespace).cloned().unwrap_or_default();
            let name = part.set.escape_debug();
            damaged.extend(found.get(&part.payload).map(|error| {
                let damage = place_of(error);
                let what = format!("{} of part {} of vector set '{name}': {}", part.role, part.part, damage.what);
                Damage { namespace, lsn: Some(part.lsn_from), is_current: part.is_current, what, ..damage }
            }));
        }
        // Payloads nobody uses any more: worth knowing, hurting nobody.
        let unnamed = found.iter().filter(|(payload, _)| !named.contains(*payload));
        damaged.extend(unnamed.map(|(_, error)| place_of(error)));
        damaged.sort_by(|a, b| (&a.namespace, &a.key, a.lsn).cmp(&(&b.namespace, &b.key, b.lsn)));
        report.damaged.extend(damaged);
        Ok(())
    }

    fn verify_structure(&self, report: &mut VerifyReport, control: &Control<'_>) -> Result<()> {
        let (sites, away) = self.inner.segments.sites().reachable();
        let reader = self.inner.catalog.read()?;
        let view = reader.view()?;
        let catalog_damage = |what: String| Damage { what: format!("catalog: {what}"), ..nowhere() };
        for outcome in [view.check_structure(), view.audit()] {
            match outcome {
                Ok(findings) => report.damaged.extend(findings.into_iter().map(catalog_damage)),
                Err(e) if e.kind() == ErrorKind::CatalogCorrupt => report.damaged.push(catalog_damage(e.to_string())),
                Err(e) => return Err(e),
            }
        }
        if view.has_cold_segments()? {
            report.unavailable = away.map(|e| e.to_string());
        }
        for row in view.segments()? {
            control.check()?;
            let site = sites.iter().find(|site| site.tier() == row.tier);
            if matches!(row.state, SegmentState::Open | SegmentState::Sealed)
                && let Some(site) = site
            {
                let damage = self.verify_segment(site, &row);
                // Reclaimed meanwhile, it is nobody's loss.
                let is_needed = |row: SegmentRow| matches!(row.state, SegmentState::Open | SegmentState::Sealed);
                if damage.is_some() && view.segment(row.id)?.is_none_or(is_needed) {
                    report.damaged.extend(damage);
                }
            }
        }
        let mut after = 0;
        let mut previous_id = None;
        loop {
            let commits = view.commits_after(after, BATCH)?;
            let Some(last) = commits.last() else { return Ok(()) };
            after = last.lsn;
            for row in commits {
                control.check()?;
                let (row, record) = self.logged(view, row)?;
                let wrong = match record {
                    Ok(commit) if (commit.lsn, commit.id) != (row.lsn, row.id) => {
                        Some("is another commit's".to_owned())
                    }
                    Ok(commit) if previous_id.is_some_and(|id| commit.previous_id != id) => {
                        Some("does not follow the commit before it".to_owned())
                    }
                    Ok(_) => None,
                    Err(e) => Some(e.what().to_owned()),
                };
                previous_id = Some(row.id);
                report.damaged.extend(wrong.map(|what| Damage {
                    segment: Some(row.segment),
                    offset: Some(row.offset),
                    what: format!("record of commit {}: {what}", row.lsn),
                    ..nowhere()
                }));
            }
        }
    }

    /// The record of a commit, where it lies now.
    fn logged(&self, view: View<'_>, mut row: CommitRow) -> Result<(CommitRow, Result<Commit>)> {
        loop {
            let record = view
                .segment(row.segment)?
                .ok_or_else(|| Error::corrupt("its segment is not known"))
                .and_then(|s| self.inner.segments.reader(s.tier, s.key()))
                .and_then(|reader| read_commit(&reader, row.offset));
            let now = if record.is_err() { view.commits_after(row.lsn - 1, 1)?.pop() } else { None };
            match now.filter(|now| now.lsn == row.lsn && now.segment != row.segment) {
                Some(now) => row = now,
                None => return Ok((row, record)),
            }
        }
    }

    fn verify_segment(&self, site: &Site, row: &SegmentRow) -> Option<Damage> {
        let check = || -> Result<()> {
            let io = |e| site.error("reading the segment", e);
            let file = site.open(row.id, Open::Read).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => Error::corrupt("the segment file is missing"),
                _ => io(e),
            })?;
            let len = file.len().map_err(io)?;
            if len < row.used_bytes {
                let what = format!("the segment has {len} bytes, {} are committed", row.used_bytes);
                return Err(Error::corrupt(what).offset(len));
            }
            let mut bytes = [0; SegmentHeaderBytes::LEN];
            read_exact_at(&*file, &mut bytes, 0).map_err(io)?;
            let header = SegmentHeader::parse(&bytes)?;
            if (header.store_uuid, header.segment, header.salt) != (self.inner.identity.uuid, row.id, row.salt) {
                return Err(Error::corrupt("the segment header is another segment's").offset(0));
            }
            if row.state == SegmentState::Sealed {
                let listed = read_footer(&*file, row.salt)?.entries;
                let known = self.inner.catalog.read()?.view()?.records(row.id)?;
                let is_listed =
                    |offset: u64| listed.binary_search_by_key(&offset, |entry: &FooterEntry| entry.offset).is_ok();
                if let Some((offset, ..)) = known.into_iter().find(|(offset, ..)| !is_listed(*offset)) {
                    return Err(Error::corrupt("the segment footer does not list this record").offset(offset));
                }
            }
            Ok(())
        };
        check()
            .err()
            .filter(|error| !self.is_away(error))
            .map(|error| Damage { segment: Some(row.id), ..place_of(&error) })
    }
}

fn nowhere() -> Damage {
    Damage {
        namespace: String::new(),
        key: None,
        lsn: None,
        is_current: false,
        segment: None,
        offset: None,
        what: String::new(),
    }
}

fn place_of(error: &Error) -> Damage {
    Damage { segment: error.segment_id(), offset: error.byte_offset(), what: error.what().to_owned(), ..nowhere() }
}
