//! Repair's search for payloads that something uses and that lie nowhere: the commit that moved or stored them is lost, and
//! the segment of older copies with its space.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::catalog::{NewCopy, SegmentUse, Transaction};
use crate::control::Control;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Codec, RecordKind, SEGMENT_HEADER_AREA, Tier};
use crate::segment::{PayloadCopy, Record, Scan, SegmentReader, read_footer};

use super::repair::{Found, RepairReport};

/// A payload: its namespace and digest.
type Wanted = (u32, Digest);

/// Gives payloads that something uses the copies that are found of them. A record says itself what payload it holds; it is
/// believed after all of it was read and compared with the digest. `away` are segments that cannot be looked at now.
pub(super) fn adopt(
    transaction: &Transaction<'_>,
    segments: &[&Found],
    away: &BTreeSet<u64>,
    control: &Control<'_>,
    report: &mut RepairReport,
) -> Result<()> {
    let known: BTreeSet<u64> = segments.iter().map(|segment| segment.id).chain(away.iter().copied()).collect();
    let mut wanted = transaction.view()?.unplaced(|id| known.contains(&id))?;
    let mut search = Search { transaction, segments, control, report };
    let mut deltas = search.adopt_whole(&mut wanted)?;
    deltas.retain(|(_, record)| wanted.contains(&(record.description.namespace, record.digest)));
    // What is coded against something else needs that first, which perhaps no commit that is left speaks of either.
    let mut bases: HashSet<Wanted> = HashSet::new();
    for (_, record) in &deltas {
        let base = record.base.map(|base| (record.description.namespace, base));
        if let Some(base) = base
            && search.place_of(base)?.is_none()
        {
            bases.insert(base);
        }
    }
    let adopted = bases.clone();
    if !bases.is_empty() {
        search.adopt_whole(&mut bases)?;
    }
    for (segment, record) in &deltas {
        if wanted.contains(&(record.description.namespace, record.digest)) && search.adopt_delta(segment, record)? {
            wanted.remove(&(record.description.namespace, record.digest));
        }
    }
    adopted.iter().try_for_each(|(namespace, base)| transaction.drop_unneeded(*namespace, base))
}

struct Search<'s, 't> {
    transaction: &'s Transaction<'t>,
    segments: &'s [&'s Found],
    control: &'s Control<'s>,
    report: &'s mut RepairReport,
}

impl<'s> Search<'s, '_> {
    /// Adopts the payloads wanted that are coded against nothing. Returns records of the others, the newest first.
    fn adopt_whole(&mut self, wanted: &mut HashSet<Wanted>) -> Result<Vec<(&'s Found, Record)>> {
        let mut deltas = Vec::new();
        // The newest first: what was moved lies there.
        for &segment in self.segments.iter().rev() {
            if wanted.is_empty() {
                break;
            }
            let reader = open(segment)?;
            let limit = read_footer(reader.file(), segment.salt).map_or(reader.len()?, |footer| footer.records_end);
            let mut scan = Scan::resync(&reader, SEGMENT_HEADER_AREA, limit);
            while let Some(found) = scan.next()? {
                self.control.check()?;
                let record = found.record;
                let payload = (record.description.namespace, record.digest);
                if record.description.kind != RecordKind::Payload || !wanted.contains(&payload) {
                    continue;
                }
                if record.base.is_some() {
                    deltas.push((segment, record));
                    continue;
                }
                let copy = PayloadCopy::open(Arc::clone(&reader), record.offset, &record.digest, record.raw_bytes)?;
                if self.adopt_sound(segment, &copy)? {
                    wanted.remove(&payload);
                }
            }
        }
        Ok(deltas)
    }

    /// Adopts a payload that is coded against another one, if that is there.
    fn adopt_delta(&mut self, segment: &Found, record: &Record) -> Result<bool> {
        let Some(digest) = record.base else { return Ok(false) };
        let copy = PayloadCopy::open(open(segment)?, record.offset, &record.digest, record.raw_bytes)?;
        let on_base = match self.place_of((record.description.namespace, digest))? {
            Some((base, offset)) => PayloadCopy::open(open(base)?, offset, &digest, record.raw_bytes)
                .and_then(|base| copy.on_base(Arc::new(base))),
            // Reading it without says what is missing, and where.
            None => Ok(copy),
        };
        match on_base {
            Ok(copy) => self.adopt_sound(segment, &copy),
            Err(e) => self.note_damage(e),
        }
    }

    /// Adopts a copy if all of it is what it says.
    fn adopt_sound(&mut self, segment: &Found, copy: &PayloadCopy) -> Result<bool> {
        let (id, record) = (segment.id, copy.record());
        if let Err(e) = copy.verify_all(&|| self.control.check()) {
            return self.note_damage(e);
        }
        self.report.payloads_adopted += 1;
        self.report
            .findings
            .push(format!("segment {id}: the payload at {} is used, and no commit says so", record.offset));
        let (salt, capacity_bytes, tier, used_bytes) =
            (segment.salt, segment.capacity_bytes, segment.site.tier(), record.end());
        let target = SegmentUse { id, tier, salt, capacity_bytes, used_bytes };
        self.transaction.adopt(&copy_of(record, segment), record.base, &target)?;
        Ok(true)
    }

    fn note_damage(&mut self, error: Error) -> Result<bool> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        self.report.findings.push(error.to_string());
        Ok(false)
    }

    /// Where the catalog places a payload, if that can be looked at.
    fn place_of(&self, (namespace, digest): Wanted) -> Result<Option<(&'s Found, u64)>> {
        let stored = self.transaction.view()?.payload(namespace, &digest)?;
        Ok(stored.and_then(|stored| {
            let segment = self.segments.iter().find(|segment| segment.id == stored.copy.segment);
            segment.map(|&segment| (segment, stored.copy.offset))
        }))
    }
}

fn open(segment: &Found) -> Result<Arc<SegmentReader>> {
    SegmentReader::open(&segment.site, segment.key()).map(Arc::new)
}

fn copy_of(record: &Record, segment: &Found) -> NewCopy {
    NewCopy {
        namespace: record.description.namespace,
        digest: record.digest,
        raw_bytes: record.raw_bytes,
        segment: segment.id,
        offset: record.offset,
        extent_bytes: record.extent_bytes,
        stored_bytes: record.stored_bytes,
        codec: record.codec,
        tier: if record.codec == Codec::Raw { segment.site.tier() } else { Tier::Cold },
        replaces: true,
    }
}
