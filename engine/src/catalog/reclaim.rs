//! What the catalog does and answers when space is reclaimed: which history nobody holds any more and what forgetting it
//! gives up, what a segment still holds, where its records went, and its condemnation.

use std::collections::{HashMap, HashSet};

use rusqlite::params;

use crate::digest::Digest;
use crate::error::{Error, Result};

use super::apply::Changes;
use super::commit::{CommitId, Forget};
use super::connection::damaged;
use super::deltas::BASES;
use super::query::{
    COMMIT_COLUMNS, COPY_COLUMNS, STORED_COLUMNS, View, commit_at, copy_at, digest_at, from_db, stored_at, to_db,
    u64_at,
};
use super::rows::{CommitRow, CopyRow, PayloadId, SegmentState, SegmentUse, StoredRow};

/// Setting that says what was forgotten: the horizon, then the commits kept before it, as a JSON array.
const HISTORY: &str = "history";
/// Setting that counts condemned segments, so that other processes see one query's worth of change.
const CONDEMNED: &str = "condemned_segments";

/// A row that ended at or before the horizon `?1` and shows at none of the commits `?2` (a JSON array).
const FORGOTTEN: &str = "lsn_to <= ?1 AND NOT EXISTS \
     (SELECT 1 FROM json_each(?2) k WHERE k.value >= lsn_from AND k.value < lsn_to)";

/// As [`FORGOTTEN`], for rows of parts. The number of a part must not be used again, and the row that appended a current
/// part says when that was.
const FORGOTTEN_PART: &str = "lsn_to <= ?1 AND NOT EXISTS \
       (SELECT 1 FROM json_each(?2) k WHERE k.value >= lsn_from AND k.value < lsn_to) \
     AND NOT EXISTS (SELECT 1 FROM vector_part c WHERE c.vector_set = vector_part.vector_set \
       AND c.part = vector_part.part AND (c.lsn_to IS NULL OR c.lsn_to > ?1)) \
     AND (part < (SELECT max(m.part) FROM vector_part m WHERE m.vector_set = vector_part.vector_set) \
       OR EXISTS (SELECT 1 FROM vector_set s WHERE s.id = vector_part.vector_set AND s.lsn_to IS NOT NULL))";

/// Payloads of the forgotten rows, once per use.
fn forgotten_uses() -> String {
    format!(
        "SELECT payload FROM atom_version WHERE {FORGOTTEN} \
         UNION ALL SELECT header FROM manifest WHERE {FORGOTTEN} \
         UNION ALL SELECT vectors FROM vector_part WHERE {FORGOTTEN_PART} \
         UNION ALL SELECT ids FROM vector_part WHERE {FORGOTTEN_PART} \
         UNION ALL SELECT companion FROM vector_part WHERE companion IS NOT NULL AND {FORGOTTEN_PART} \
         UNION ALL SELECT bitmap FROM tombstone WHERE {FORGOTTEN}"
    )
}

fn list(lsns: &[u64]) -> String {
    let numbers: Vec<String> = lsns.iter().map(u64::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// What forgetting would give up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forgettable {
    /// Versions, manifests, states of parts and tombstones.
    pub(crate) rows: u64,
    /// Bytes of records whose payload nothing would use any more, by segment.
    pub(crate) bytes: HashMap<u64, u64>,
}

/// Where the record of a commit lies now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) lsn: u64,
    pub(crate) id: CommitId,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) extent_bytes: u64,
}

/// What other processes must know of reclaiming to read correctly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reclaimed {
    /// What was forgotten so far.
    pub(crate) forgotten: Forget,
    /// Segments condemned so far, ever.
    pub(crate) condemnations: u64,
}

impl Changes<'_> {
    /// Forgets history. The same rows go in a rebuild, because the commit names every moment it keeps.
    pub(super) fn forget(&self, forget: &Forget) -> Result<()> {
        let (horizon, kept) = (to_db(forget.horizon), list(&forget.kept));
        let uses = forgotten_uses();
        let statements = [
            format!(
                "UPDATE payload SET all_refs = all_refs - u.uses FROM \
                   (SELECT payload, count(*) AS uses FROM ({uses}) GROUP BY payload) u WHERE u.payload = payload.id"
            ),
            format!(
                "DELETE FROM lineage WHERE (ns, key, lsn_from) IN \
                   (SELECT ns, key, lsn_from FROM atom_version WHERE {FORGOTTEN})"
            ),
            format!("DELETE FROM atom_version WHERE {FORGOTTEN}"),
            format!("DELETE FROM manifest WHERE {FORGOTTEN}"),
            format!("DELETE FROM vector_part WHERE {FORGOTTEN_PART}"),
            format!("DELETE FROM tombstone WHERE {FORGOTTEN}"),
        ];
        for sql in &statements {
            self.run(sql, params![horizon, kept])?;
        }
        // What nothing uses, not even as a base; then the bases that were there only for what has just gone.
        let unused = format!("all_refs = 0 AND id NOT IN {BASES}");
        for _ in 0..2 {
            self.run(&format!("DELETE FROM copy WHERE payload IN (SELECT id FROM payload WHERE {unused})"), [])?;
            self.run(&format!("DELETE FROM payload WHERE {unused}"), [])?;
        }
        let all: Vec<u64> = std::iter::once(forget.horizon).chain(forget.kept.iter().copied()).collect();
        self.set_setting(HISTORY, &list(&all))
    }

    /// See [`super::Transaction::condemn`].
    pub(super) fn condemn(&self, segment: u64, moved: &[Moved], targets: &[SegmentUse]) -> Result<bool> {
        let id = to_db(segment);
        // A commit that is not known to be durable may be taken back, and with it what this segment is not needed for.
        let needed = "SELECT (SELECT count(*) FROM copy WHERE segment = ?1) \
               + (SELECT count(*) FROM prepared WHERE segment = ?1) \
               + (SELECT count(*) FROM commit_log WHERE segment = ?1 AND lsn > (SELECT synced_lsn FROM head)) \
               + (SELECT count(*) FROM segment WHERE id = ?1 AND state <> 2 AND suspect = 0)";
        let records = self.number("SELECT count(*) FROM commit_log WHERE segment = ?1", [id])?;
        if self.number(needed, [id])? != Some(0) || records != i64::try_from(moved.len()).ok() {
            return Ok(false);
        }
        targets.iter().try_for_each(|target| self.use_segment(target))?;
        for target in targets {
            // Rows of segments of commits that are taken back go with them; this one is needed by older commits now.
            let sql = "UPDATE segment SET lsn = min(lsn, ?2) WHERE id = ?1";
            self.run(sql, params![to_db(target.id), to_db(self.lsn)])?;
        }
        for place in moved {
            let sql = "UPDATE commit_log SET segment = ?3, offset = ?4, extent_bytes = ?5 WHERE lsn = ?1 AND id = ?2";
            let extent = to_db(place.extent_bytes);
            let args = params![to_db(place.lsn), place.id, to_db(place.segment), to_db(place.offset), extent];
            if self.run(sql, args)? != 1 {
                return Err(Error::internal("a commit changed its name"));
            }
            self.add_dead(place.segment, -extent)?;
        }
        self.run("UPDATE segment SET dead_bytes = used_bytes - 65536, state = 3 WHERE id = ?1", [id])?;
        let sql = "INSERT INTO setting (name, value) VALUES (?1, '1') \
             ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1";
        self.run(sql, [CONDEMNED])?;
        Ok(true)
    }

    /// Marks a segment as deleted unless something lies in it.
    pub(super) fn retire(&self, segment: u64) -> Result<()> {
        let sql = "UPDATE segment SET state = ?2 WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM copy WHERE segment = ?1) \
             AND NOT EXISTS (SELECT 1 FROM commit_log WHERE segment = ?1)";
        self.run(sql, params![to_db(segment), SegmentState::Deleted as i64])?;
        Ok(())
    }
}

impl View<'_> {
    /// What was forgotten, and how many segments were condemned.
    pub(crate) fn reclaimed(self) -> Result<Reclaimed> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let mut reclaimed = Reclaimed::default();
        for (name, value) in
            self.all("SELECT name, value FROM setting WHERE name IN (?1, ?2)", [HISTORY, CONDEMNED], read)?
        {
            let bad = || damaged("a setting of the catalog makes no sense");
            if name == HISTORY {
                let mut lsns: Vec<u64> = serde_json::from_str(&value).map_err(|_| bad())?;
                let horizon = if lsns.is_empty() { 0 } else { lsns.remove(0) };
                reclaimed.forgotten = Forget { horizon, kept: lsns };
            } else {
                reclaimed.condemnations = value.parse().map_err(|_| bad())?;
            }
        }
        Ok(reclaimed)
    }

    /// Segments that wait to be deleted.
    pub(crate) fn condemned(self) -> Result<Vec<u64>> {
        self.all("SELECT id FROM segment WHERE state = 3", [], |row| u64_at(row, 0))
    }

    /// What forgetting would give up.
    pub(crate) fn forgettable(self, forget: &Forget) -> Result<Forgettable> {
        let (horizon, kept) = (to_db(forget.horizon), list(&forget.kept));
        let count = format!(
            "SELECT (SELECT count(*) FROM atom_version WHERE {FORGOTTEN}) + (SELECT count(*) FROM manifest WHERE {FORGOTTEN}) \
               + (SELECT count(*) FROM vector_part WHERE {FORGOTTEN_PART}) + (SELECT count(*) FROM tombstone WHERE {FORGOTTEN})"
        );
        let rows = self.one(&count, params![horizon, kept], |row| u64_at(row, 0))?.unwrap_or(0);
        let sql = format!(
            "WITH gone (id) AS (SELECT p.id FROM payload p LEFT JOIN \
                 (SELECT payload, count(*) AS uses FROM ({}) GROUP BY payload) u ON u.payload = p.id \
               WHERE p.all_refs = coalesce(u.uses, 0)) \
             SELECT c.segment, sum(c.extent_bytes) FROM copy c WHERE c.payload IN (SELECT id FROM gone) \
                AND c.payload NOT IN (SELECT d.base FROM payload d WHERE d.base IS NOT NULL AND d.id NOT IN (SELECT id FROM gone)) \
              GROUP BY c.segment",
            forgotten_uses()
        );
        let bytes = self.all(&sql, params![horizon, kept], |row| Ok((u64_at(row, 0)?, u64_at(row, 1)?)))?;
        Ok(Forgettable { rows, bytes: bytes.into_iter().collect() })
    }

    /// The oldest commit that a consumer of changes has seen: what comes after it must stay.
    pub(crate) fn oldest_consumer(self) -> Result<Option<u64>> {
        Ok(self.one("SELECT min(lsn) FROM consumer", [], |row| row.get::<_, Option<i64>>(0))?.flatten().map(from_db))
    }

    /// Commits that have a tag, ascending.
    pub(crate) fn tagged(self) -> Result<Vec<u64>> {
        self.all("SELECT DISTINCT lsn FROM tag ORDER BY lsn", [], |row| u64_at(row, 0))
    }

    /// Copies that lie in a segment, in order of offset.
    pub(crate) fn copies_in(self, segment: u64) -> Result<Vec<StoredRow>> {
        let sql = format!(
            "SELECT {STORED_COLUMNS}, {COPY_COLUMNS} FROM copy c JOIN payload p ON p.id = c.payload \
               JOIN segment s ON s.id = c.segment WHERE c.segment = ?1 ORDER BY c.offset"
        );
        self.all(&sql, [to_db(segment)], stored_at)
    }

    /// Commits whose records lie in a segment, in order of offset.
    pub(crate) fn commits_in(self, segment: u64) -> Result<Vec<CommitRow>> {
        let sql = format!("SELECT {COMMIT_COLUMNS} FROM commit_log WHERE segment = ?1 ORDER BY offset");
        self.all(&sql, [to_db(segment)], commit_at)
    }

    /// Payloads that something uses, if only as a base, and of which no copy lies in a segment that `is_there`: namespace and digest.
    pub(crate) fn unplaced(self, is_there: impl Fn(u64) -> bool) -> Result<HashSet<(u32, Digest)>> {
        let sql = format!(
            "SELECT p.ns, p.digest, c.segment FROM payload p LEFT JOIN copy c ON c.payload = p.id \
              WHERE p.all_refs > 0 OR p.id IN {BASES} ORDER BY p.id"
        );
        let mut unplaced = HashSet::new();
        // Rows of one payload follow each other.
        let mut placed: Option<(u32, Digest)> = None;
        self.each(&sql, |row| {
            let payload: (u32, Digest) = (row.get(0)?, digest_at(row, 1)?);
            let segment: Option<i64> = row.get(2)?;
            if segment.is_some_and(|segment| is_there(from_db(segment))) {
                unplaced.remove(&payload);
                placed = Some(payload);
            } else if placed != Some(payload) {
                unplaced.insert(payload);
            }
            Ok(())
        })?;
        Ok(unplaced)
    }

    /// Number of the payload of this digest, whether it has a copy or not.
    pub(crate) fn payload_of(self, namespace: u32, digest: &Digest) -> Result<Option<PayloadId>> {
        self.one("SELECT id FROM payload WHERE ns = ?1 AND digest = ?2", params![namespace, digest.0], |row| row.get(0))
    }

    /// The best copy of a payload, if it is still the one of this digest.
    pub(crate) fn place_of(self, payload: PayloadId, digest: &Digest) -> Result<Option<CopyRow>> {
        let sql = format!(
            "SELECT {COPY_COLUMNS} FROM copy c JOIN payload p ON p.id = c.payload JOIN segment s ON s.id = c.segment \
              WHERE c.payload = ?1 AND p.digest = ?2 ORDER BY c.tier, c.lsn DESC LIMIT 1"
        );
        self.one(&sql, params![payload, digest.0], |row| copy_at(row, 0))
    }
}
