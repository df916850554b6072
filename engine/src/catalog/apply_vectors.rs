//! Changes of vector sets, carried out on the catalog: sets, their parts, and the bitmaps of deleted rows, each valid
//! from one commit to another. The part of [`super::apply`] that knows the vector tables.

use rusqlite::params;

use crate::digest::Digest;
use crate::dtype::{DType, Encoding, byte_len};
use crate::error::{Error, Result};

use super::apply::Changes;
use super::commit::{AppendPart, VectorSetSpec};
use super::connection::error;
use super::query::to_db;
use super::rows::PayloadId;

/// Every use of a payload by versions, manifests and vector sets: the payload, and whether the use is current.
pub(super) const PAYLOAD_USES: &str = "SELECT payload, lsn_to IS NULL AS live FROM atom_version \
     UNION ALL SELECT header, lsn_to IS NULL FROM manifest \
     UNION ALL SELECT vectors, lsn_to IS NULL FROM vector_part \
     UNION ALL SELECT ids, lsn_to IS NULL FROM vector_part \
     UNION ALL SELECT companion, lsn_to IS NULL FROM vector_part WHERE companion IS NOT NULL \
     UNION ALL SELECT bitmap, lsn_to IS NULL FROM tombstone";

/// What takes back the changes of all commits after `?1`.
pub(super) const ROLL_BACK: [&str; 6] = [
    "DELETE FROM vector_set WHERE lsn_from > ?1",
    "UPDATE vector_set SET lsn_to = NULL WHERE lsn_to > ?1",
    "DELETE FROM vector_part WHERE lsn_from > ?1",
    "UPDATE vector_part SET lsn_to = NULL WHERE lsn_to > ?1",
    "DELETE FROM tombstone WHERE lsn_from > ?1",
    "UPDATE tombstone SET lsn_to = NULL WHERE lsn_to > ?1",
];

/// A current part's payloads.
struct PartPayloads {
    rows: i64,
    vectors: PayloadId,
    ids: PayloadId,
    companion: Option<PayloadId>,
}

impl Changes<'_> {
    pub(super) fn create_vector_set(&self, spec: &VectorSetSpec) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO vector_set (id, ns, name, dim, dtype, metric, lsn_from, lsn_to) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)";
        let (dtype, metric, lsn) = (spec.dtype.name(), spec.metric.name(), to_db(self.lsn));
        self.run(sql, params![spec.set, spec.namespace, spec.name, spec.dim, dtype, metric, lsn])?;
        Ok(())
    }

    pub(super) fn append_part(&self, append: &AppendPart) -> Result<()> {
        let spec = &append.spec;
        // Only after damage to the record of its creation is the set not there yet.
        self.create_vector_set(spec)?;
        let length = |dtype: DType, shape: &[u64]| byte_len(dtype, shape, &Encoding::Plain);
        let vector_bytes = length(spec.dtype, &[append.rows, u64::from(spec.dim)])?;
        let vectors = self.add_reference(spec.namespace, &append.vectors, vector_bytes)?;
        let ids = self.add_reference(spec.namespace, &append.ids, length(DType::I64, &[append.rows])?)?;
        let companion = append.companion.map(|digest| self.add_reference(spec.namespace, &digest, 0)).transpose()?;
        let payloads = PartPayloads { rows: to_db(append.rows), vectors, ids, companion };
        self.insert_part(spec.set, append.part, &payloads)
    }

    fn insert_part(&self, set: u32, part: u32, payloads: &PartPayloads) -> Result<()> {
        let sql = "INSERT INTO vector_part (vector_set, part, lsn_from, lsn_to, rows, vectors, ids, companion) \
             VALUES (?1, ?2, ?3, NULL, ?4, ?5, ?6, ?7)";
        let PartPayloads { rows, vectors, ids, companion } = payloads;
        self.run(sql, params![set, part, to_db(self.lsn), rows, vectors, ids, companion])?;
        Ok(())
    }

    /// Replaces the bitmap of a part's deleted rows.
    pub(super) fn set_tombstones(&self, set: u32, part: u32, bitmap: &Digest) -> Result<()> {
        let Some(namespace) = self.namespace_of_part(set, part)? else { return Ok(()) };
        let payload = self.add_reference(namespace, bitmap, 0)?;
        self.close_tombstones(set, part)?;
        let sql = "INSERT INTO tombstone (vector_set, part, lsn_from, lsn_to, bitmap) VALUES (?1, ?2, ?3, NULL, ?4)";
        self.run(sql, params![set, part, to_db(self.lsn), payload])?;
        Ok(())
    }

    /// Gives a part a companion: a new row of the same part, so that older snapshots stay as they were.
    pub(super) fn set_companion(&self, set: u32, part: u32, companion: &Digest) -> Result<()> {
        let Some(namespace) = self.namespace_of_part(set, part)? else { return Ok(()) };
        let Some(mut payloads) = self.close_part_row(set, part)? else { return Ok(()) };
        let companion = self.add_reference(namespace, companion, 0)?;
        let closed = [Some(payloads.vectors), Some(payloads.ids), payloads.companion];
        payloads.companion = Some(companion);
        self.reference_again(payloads.vectors)?;
        self.reference_again(payloads.ids)?;
        closed.into_iter().flatten().try_for_each(|payload| self.drop_reference(payload))?;
        self.insert_part(set, part, &payloads)
    }

    pub(super) fn drop_part(&self, set: u32, part: u32) -> Result<()> {
        if let Some(payloads) = self.close_part_row(set, part)? {
            let closed = [Some(payloads.vectors), Some(payloads.ids), payloads.companion];
            closed.into_iter().flatten().try_for_each(|payload| self.drop_reference(payload))?;
        }
        self.close_tombstones(set, part)
    }

    pub(super) fn drop_vector_set(&self, set: u32) -> Result<()> {
        let sql = "SELECT part FROM vector_part WHERE vector_set = ?1 AND lsn_to IS NULL";
        let fail = |e| error("writing", e);
        let mut statement = self.connection.prepare_cached(sql).map_err(fail)?;
        let parts = statement.query_map([set], |row| row.get::<_, u32>(0)).map_err(fail)?;
        let parts: Vec<u32> = parts.collect::<rusqlite::Result<_>>().map_err(fail)?;
        parts.into_iter().try_for_each(|part| self.drop_part(set, part))?;
        self.run("UPDATE vector_set SET lsn_to = ?2 WHERE id = ?1 AND lsn_to IS NULL", params![set, to_db(self.lsn)])?;
        Ok(())
    }

    /// The namespace of a current part. None only after damage: then there is nothing to change.
    fn namespace_of_part(&self, set: u32, part: u32) -> Result<Option<u32>> {
        let sql = "SELECT s.ns FROM vector_part p JOIN vector_set s ON s.id = p.vector_set \
             WHERE p.vector_set = ?1 AND p.part = ?2 AND p.lsn_to IS NULL";
        let namespace = self.number(sql, params![set, part])?;
        namespace.map(|ns| u32::try_from(ns).map_err(|_| Error::internal("a namespace's number"))).transpose()
    }

    /// Ends a part's current row, leaving its references to the caller.
    fn close_part_row(&self, set: u32, part: u32) -> Result<Option<PartPayloads>> {
        let sql = "UPDATE vector_part SET lsn_to = ?3 WHERE vector_set = ?1 AND part = ?2 AND lsn_to IS NULL \
             RETURNING rows, vectors, ids, companion";
        self.row(sql, params![set, part, to_db(self.lsn)], |row| {
            Ok(PartPayloads { rows: row.get(0)?, vectors: row.get(1)?, ids: row.get(2)?, companion: row.get(3)? })
        })
    }

    fn close_tombstones(&self, set: u32, part: u32) -> Result<()> {
        let sql = "UPDATE tombstone SET lsn_to = ?3 WHERE vector_set = ?1 AND part = ?2 AND lsn_to IS NULL \
             RETURNING bitmap";
        if let Some(payload) = self.number(sql, params![set, part, to_db(self.lsn)])? {
            self.drop_reference(payload)?;
        }
        Ok(())
    }
}
