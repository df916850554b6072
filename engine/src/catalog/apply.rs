//! Carries a commit out on the catalog: the same code live, when a log is rolled forward, and in a rebuild. Keeps the
//! reference counts of payloads and the dead bytes of segments exact. SQL of changes is here, in
//! [`super::apply_vectors`], [`super::apply_tiers`], [`super::deltas`] and [`super::reclaim`], nowhere else.

use rusqlite::{Connection, OptionalExtension, params};

use crate::digest::Digest;
use crate::dtype::byte_len;
use crate::error::{Error, Result};
use crate::format::SEGMENT_HEADER_AREA;
use crate::key::{Key, KeyRef};
use crate::segment::encoding_to_text;

use super::apply_vectors::{PAYLOAD_USES, ROLL_BACK};
use super::commit::{Commit, NewCopy, Operation, PutAtom, PutManifest};
use super::connection::error;
use super::query::{from_db, to_db};
use super::rows::{PayloadId, SegmentState, SegmentUse};

/// Changes inside one transaction of the catalog.
pub(super) struct Changes<'c> {
    pub(super) connection: &'c Connection,
    pub(super) lsn: u64,
}

impl<'c> Changes<'c> {
    pub(super) fn new(connection: &'c Connection, lsn: u64) -> Self {
        Changes { connection, lsn }
    }

    pub(super) fn run(&self, sql: &str, args: impl rusqlite::Params) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| error("writing", e))?;
        statement.execute(args).map_err(|e| error("writing", e))
    }

    pub(super) fn row<T>(
        &self,
        sql: &str,
        args: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| error("writing", e))?;
        statement.query_row(args, read).optional().map_err(|e| error("writing", e))
    }

    pub(super) fn number(&self, sql: &str, args: impl rusqlite::Params) -> Result<Option<i64>> {
        self.row(sql, args, |row| row.get(0))
    }

    /// Applies everything in a commit. `place` is where its record lies.
    pub(super) fn commit(&self, commit: &Commit, place: (u64, u64, u64)) -> Result<()> {
        for operation in &commit.operations {
            if let Operation::CreateNamespace { id, name } = operation {
                let sql = "INSERT INTO namespace (id, name, lsn) VALUES (?1, ?2, ?3)";
                self.run(sql, params![id, name, to_db(self.lsn)])?;
            }
        }
        // Bases that copies given up were coded against: perhaps nothing needs them any more.
        let mut former_bases = Vec::new();
        for copy in &commit.copies {
            former_bases.extend(self.add_copy(copy)?);
        }
        for operation in &commit.operations {
            match operation {
                Operation::CreateNamespace { .. } => {}
                Operation::Put(put) => self.put(put, commit.time_us)?,
                Operation::Delete { namespace, key } => self.close_version(*namespace, key.as_ref())?,
                Operation::PutManifest(put) => self.put_manifest(put)?,
                Operation::DeleteManifest { namespace, prefix, name } => {
                    self.close_manifest(*namespace, prefix, name)?;
                }
                Operation::CreateVectorSet(spec) => self.create_vector_set(spec)?,
                Operation::AppendPart(append) => self.append_part(append)?,
                Operation::SetTombstones { set, part, bitmap } => self.set_tombstones(*set, *part, bitmap)?,
                Operation::SetCompanion { set, part, companion } => self.set_companion(*set, *part, companion)?,
                Operation::DropPart { set, part } => self.drop_part(*set, *part)?,
                Operation::DropVectorSet { set } => self.drop_vector_set(*set)?,
                Operation::Forget(forget) => self.forget(forget)?,
                Operation::CodeAgainst(code) => self.code_against(code)?,
            }
        }
        former_bases.into_iter().try_for_each(|base| self.drop_unneeded(base))?;
        let (segment, offset, extent_bytes) = place;
        let sql =
            "INSERT INTO commit_log (lsn, time_us, id, segment, offset, extent_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (lsn, time_us) = (to_db(self.lsn), to_db(commit.time_us));
        self.run(sql, params![lsn, time_us, commit.id, to_db(segment), to_db(offset), to_db(extent_bytes)])?;
        // Its record is needed as long as the segment: not dead.
        self.add_dead(segment, -to_db(extent_bytes))?;
        self.run(
            "UPDATE head SET lsn = ?1, commit_id = ?2, time_us = ?3 WHERE id = 1",
            params![lsn, commit.id, time_us],
        )?;
        Ok(())
    }

    /// Records how far a segment is used. What was appended counts as dead until a copy or commit claims it.
    pub(super) fn use_segment(&self, segment: &SegmentUse) -> Result<()> {
        let sql = "INSERT INTO segment (id, tier, state, suspect, salt, capacity_bytes, used_bytes, dead_bytes, lsn) \
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?6 - ?7, ?8) \
             ON CONFLICT (id) DO UPDATE SET dead_bytes = dead_bytes + excluded.used_bytes - used_bytes, \
                                            used_bytes = excluded.used_bytes";
        let (salt, used) = (to_db(segment.salt), to_db(segment.used_bytes));
        let (state, area) = (SegmentState::Open as i64, to_db(SEGMENT_HEADER_AREA));
        let tier = segment.tier.number();
        let capacity = to_db(segment.capacity_bytes);
        self.run(sql, params![to_db(segment.id), tier, state, salt, capacity, used, area, to_db(self.lsn)])?;
        Ok(())
    }

    pub(super) fn set_segment_state(&self, segment: u64, state: SegmentState) -> Result<()> {
        self.run("UPDATE segment SET state = ?2 WHERE id = ?1", params![to_db(segment), state as i64])?;
        Ok(())
    }

    pub(super) fn mark_suspect(&self, segment: u64) -> Result<()> {
        self.run("UPDATE segment SET suspect = 1 WHERE id = ?1", [to_db(segment)])?;
        Ok(())
    }

    /// Changes a number that means nothing: SQLite does not write a row that stays as it is.
    pub(super) fn count_fence(&self) -> Result<()> {
        self.run("UPDATE head SET fences = fences + 1 WHERE id = 1", [])?;
        Ok(())
    }

    /// Every commit up to `lsn` is durable now.
    pub(super) fn set_synced(&self, lsn: u64) -> Result<()> {
        self.run("UPDATE head SET synced_lsn = ?1 WHERE id = 1", [to_db(lsn)])?;
        Ok(())
    }

    /// The machine on which commits behind the synced one are being made.
    pub(super) fn set_boot(&self, boot_id: u128) -> Result<()> {
        self.run("UPDATE head SET boot_id = ?1 WHERE id = 1", [boot_id.to_le_bytes()])?;
        Ok(())
    }

    pub(super) fn add_dead(&self, segment: u64, bytes: i64) -> Result<()> {
        self.run("UPDATE segment SET dead_bytes = dead_bytes + ?2 WHERE id = ?1", params![to_db(segment), bytes])?;
        Ok(())
    }

    pub(super) fn payload_id(&self, namespace: u32, digest: &Digest) -> Result<Option<PayloadId>> {
        self.number("SELECT id FROM payload WHERE ns = ?1 AND digest = ?2", params![namespace, digest.0])
    }

    /// Returns what the payload was coded against so far, where this copy takes the place of such a one.
    pub(super) fn add_copy(&self, copy: &NewCopy) -> Result<Option<PayloadId>> {
        let payload = match self.payload_id(copy.namespace, &copy.digest)? {
            Some(id) => {
                // After damage a rebuild may know a manifest's header by name only; now its length is known too.
                let sql = "UPDATE payload SET raw_bytes = ?2 WHERE id = ?1 AND raw_bytes <> ?2";
                self.run(sql, params![id, to_db(copy.raw_bytes)])?;
                id
            }
            None => self.add_payload(copy.namespace, &copy.digest, copy.raw_bytes)?,
        };
        let live = self.number("SELECT live_refs FROM payload WHERE id = ?1", [payload])?.unwrap_or(0) > 0;
        let mut former_base = None;
        if copy.replaces {
            former_base = self.forget_base(payload)?;
            if live {
                let sql = "UPDATE segment SET dead_bytes = dead_bytes + \
                     (SELECT sum(c.extent_bytes) FROM copy c WHERE c.payload = ?1 AND c.segment = segment.id) \
                     WHERE id IN (SELECT segment FROM copy WHERE payload = ?1)";
                self.run(sql, [payload])?;
            }
            self.run("DELETE FROM copy WHERE payload = ?1", [payload])?;
        }
        let sql = "INSERT INTO copy (payload, segment, offset, extent_bytes, stored_bytes, codec, tier, lsn) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let numbers = [copy.segment, copy.offset, copy.extent_bytes, copy.stored_bytes].map(to_db);
        let [segment, offset, extent, stored] = numbers;
        let (codec, tier) = (copy.codec.number(), copy.tier.number());
        self.run(sql, params![payload, segment, offset, extent, stored, codec, tier, to_db(self.lsn)])?;
        if live {
            self.add_dead(copy.segment, -extent)?;
        }
        Ok(former_base)
    }

    /// A payload that nothing uses yet.
    pub(super) fn add_payload(&self, namespace: u32, digest: &Digest, raw_bytes: u64) -> Result<PayloadId> {
        let sql = "INSERT INTO payload (ns, digest, raw_bytes, lsn, live_refs, all_refs) VALUES (?1, ?2, ?3, ?4, 0, 0)";
        self.run(sql, params![namespace, digest.0, to_db(raw_bytes), to_db(self.lsn)])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// A version, manifest or vector set starts to use a payload.
    pub(super) fn add_reference(&self, namespace: u32, digest: &Digest, raw_bytes: u64) -> Result<PayloadId> {
        let payload = match self.payload_id(namespace, digest)? {
            Some(id) => id,
            // Only after damage: a rebuild keeps the version, whose reads then say what is missing.
            None => self.add_payload(namespace, digest, raw_bytes)?,
        };
        self.reference_again(payload)?;
        Ok(payload)
    }

    /// One more use of a payload that the catalog knows.
    pub(super) fn reference_again(&self, payload: PayloadId) -> Result<()> {
        let sql =
            "UPDATE payload SET live_refs = live_refs + 1, all_refs = all_refs + 1 WHERE id = ?1 RETURNING live_refs";
        if self.number(sql, [payload])? == Some(1) {
            self.shift_dead(payload, -1)?;
        }
        Ok(())
    }

    /// A current use of a payload has ended.
    pub(super) fn drop_reference(&self, payload: PayloadId) -> Result<()> {
        let sql = "UPDATE payload SET live_refs = live_refs - 1 WHERE id = ?1 RETURNING live_refs";
        if self.number(sql, [payload])? == Some(0) {
            self.shift_dead(payload, 1)?;
        }
        Ok(())
    }

    /// Moves all copies of a payload between live (-1) and dead (+1).
    fn shift_dead(&self, payload: PayloadId, sign: i64) -> Result<()> {
        let sql = "UPDATE segment SET dead_bytes = dead_bytes + ?2 * \
             (SELECT sum(c.extent_bytes) FROM copy c WHERE c.payload = ?1 AND c.segment = segment.id) \
             WHERE id IN (SELECT segment FROM copy WHERE payload = ?1)";
        self.run(sql, params![payload, sign])?;
        Ok(())
    }

    fn close_version(&self, namespace: u32, key: KeyRef<'_>) -> Result<()> {
        // One seek, however many versions the key has; nothing matches when the newest is closed already.
        let sql = "UPDATE atom_version SET lsn_to = ?3 WHERE ns = ?1 AND key = ?2 AND lsn_to IS NULL AND lsn_from = \
             (SELECT max(lsn_from) FROM atom_version WHERE ns = ?1 AND key = ?2) RETURNING payload";
        if let Some(payload) = self.number(sql, params![namespace, key, to_db(self.lsn)])? {
            self.drop_reference(payload)?;
        }
        Ok(())
    }

    fn put(&self, put: &PutAtom, time_us: u64) -> Result<()> {
        self.close_version(put.namespace, put.key.as_ref())?;
        let raw_bytes = byte_len(put.dtype, &put.shape, &put.encoding)?;
        let payload = self.add_reference(put.namespace, &put.digest, raw_bytes)?;
        let shape = serde_json::to_string(&put.shape).map_err(|e| Error::internal(e.to_string()))?;
        let encoding = Some(encoding_to_text(&put.encoding)?).filter(|text| !text.is_empty());
        let sql = "INSERT INTO atom_version (ns, key, lsn_from, lsn_to, payload, digest, dtype, shape, encoding, \
               metadata, created_us) VALUES (?1, ?2, ?3, NULL, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let lsn = to_db(self.lsn);
        let dtype = put.dtype.name();
        let (ns, key, digest) = (put.namespace, put.key.as_ref(), put.digest.0);
        let (metadata, created) = (&put.metadata, to_db(time_us));
        self.run(sql, params![ns, key, lsn, payload, digest, dtype, shape, encoding, metadata, created])?;
        for (ordinal, (parent, parent_lsn)) in (0_i64..).zip(&put.parents) {
            let sql = "INSERT INTO lineage (ns, key, lsn_from, ordinal, parent_key, parent_lsn) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let (key, parent) = (put.key.as_ref(), parent.as_ref());
            self.run(sql, params![put.namespace, key, lsn, ordinal, parent, to_db(*parent_lsn)])?;
        }
        Ok(())
    }

    fn close_manifest(&self, namespace: u32, prefix: &str, name: &str) -> Result<()> {
        let sql = "UPDATE manifest SET lsn_to = ?4 WHERE ns = ?1 AND prefix = ?2 AND name = ?3 AND lsn_to IS NULL \
             RETURNING header";
        if let Some(payload) = self.number(sql, params![namespace, prefix, name, to_db(self.lsn)])? {
            self.drop_reference(payload)?;
        }
        Ok(())
    }

    fn put_manifest(&self, put: &PutManifest) -> Result<()> {
        self.close_manifest(put.namespace, &put.prefix, &put.name)?;
        let header = self.add_reference(put.namespace, &put.header, 0)?;
        let sql = "INSERT INTO manifest (ns, prefix, name, lsn_from, lsn_to, format, header) VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6)";
        self.run(sql, params![put.namespace, put.prefix, put.name, to_db(self.lsn), put.format, header])?;
        Ok(())
    }

    /// Takes back every commit after `lsn`: after a power cut, commits that were never promised to survive it may have
    /// lost their payloads.
    pub(super) fn roll_back_to(&self, lsn: u64) -> Result<()> {
        let to = to_db(lsn);
        for sql in [
            "DELETE FROM lineage WHERE lsn_from > ?1",
            "DELETE FROM atom_version WHERE lsn_from > ?1",
            "UPDATE atom_version SET lsn_to = NULL WHERE lsn_to > ?1",
            "DELETE FROM manifest WHERE lsn_from > ?1",
            "UPDATE manifest SET lsn_to = NULL WHERE lsn_to > ?1",
            "DELETE FROM copy WHERE lsn > ?1",
            "DELETE FROM payload WHERE lsn > ?1",
            "DELETE FROM namespace WHERE lsn > ?1",
            "DELETE FROM commit_log WHERE lsn > ?1",
            "DELETE FROM segment WHERE lsn > ?1",
        ]
        .iter()
        .chain(&ROLL_BACK)
        {
            self.run(sql, [to])?;
        }
        self.run(
            "UPDATE head SET lsn = ?1, synced_lsn = min(synced_lsn, ?1), \
               commit_id = coalesce((SELECT id FROM commit_log WHERE lsn = ?1), zeroblob(16)), \
               time_us = coalesce((SELECT time_us FROM commit_log WHERE lsn = ?1), 0) WHERE id = 1",
            [to],
        )?;
        self.recount()
    }

    /// Computes every counter anew from the rows it counts.
    pub(super) fn recount(&self) -> Result<()> {
        self.run("UPDATE payload SET live_refs = 0, all_refs = 0", [])?;
        let sql = format!(
            "UPDATE payload SET live_refs = u.live, all_refs = u.total FROM ( \
               SELECT payload, sum(live) AS live, count(*) AS total FROM ({PAYLOAD_USES}) GROUP BY payload) u \
             WHERE u.payload = payload.id"
        );
        self.run(&sql, [])?;
        self.run(
            "UPDATE segment SET used_bytes = coalesce((SELECT max(e) FROM ( \
                 SELECT max(offset + extent_bytes) AS e FROM copy WHERE segment = segment.id \
                 UNION ALL SELECT max(offset + extent_bytes) FROM commit_log WHERE segment = segment.id)), ?1)",
            [to_db(SEGMENT_HEADER_AREA)],
        )?;
        self.run(
            "UPDATE segment SET dead_bytes = used_bytes - ?1 \
               - (SELECT coalesce(sum(c.extent_bytes), 0) FROM copy c JOIN payload p ON p.id = c.payload \
                   WHERE c.segment = segment.id AND p.live_refs > 0) \
               - (SELECT coalesce(sum(l.extent_bytes), 0) FROM commit_log l WHERE l.segment = segment.id)",
            [to_db(SEGMENT_HEADER_AREA)],
        )?;
        Ok(())
    }

    /// The LSN of a key's current version.
    pub(super) fn current_lsn(&self, namespace: u32, key: &Key) -> Result<Option<u64>> {
        let sql = "SELECT CASE WHEN lsn_to IS NULL THEN lsn_from END FROM atom_version WHERE ns = ?1 AND key = ?2 \
             ORDER BY lsn_from DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| error("reading", e))?;
        let lsn = statement.query_row(params![namespace, key.as_ref()], |row| row.get::<_, Option<i64>>(0)).optional();
        Ok(lsn.map_err(|e| error("reading", e))?.flatten().map(from_db))
    }
}
