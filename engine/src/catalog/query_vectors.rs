//! The questions the engine asks the catalog about vector sets.

use rusqlite::{Row, params};

use crate::error::Result;
use crate::kernels::Metric;

use super::commit::VectorSetSpec;
use super::connection::damaged;
use super::query::{COPY_COLUMNS, Sql, View, bad, copy_at, digest_at, from_db, to_db, u64_at};
use super::rows::{PartRow, PartState, PartUse, PayloadId, PlacedPayload, VectorSetRow};

const SET_COLUMNS: &str = "id, ns, name, dim, dtype, metric, lsn_from";

fn set_at(row: &Row<'_>) -> Sql<VectorSetRow> {
    let metric: Metric = row.get_ref(5)?.as_str()?.parse().or_else(|_| bad(5, "an unknown metric"))?;
    let dtype = row.get_ref(4)?.as_str()?.parse().or_else(|_| bad(4, "an unknown dtype"))?;
    let (set, namespace, name, dim) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(VectorSetRow { spec: VectorSetSpec { set, namespace, name, dim, dtype, metric }, lsn_from: u64_at(row, 6)? })
}

impl View<'_> {
    /// The vector set of this name that is there at `lsn`.
    pub(crate) fn vector_set(self, namespace: u32, name: &str, lsn: u64) -> Result<Option<VectorSetRow>> {
        let sql = format!(
            "SELECT {SET_COLUMNS} FROM vector_set WHERE ns = ?1 AND name = ?2 \
                AND lsn_from <= ?3 AND (lsn_to IS NULL OR lsn_to > ?3)"
        );
        self.one(&sql, params![namespace, name, to_db(lsn)], set_at)
    }

    /// All vector sets of a namespace at `lsn`, by name.
    pub(crate) fn vector_sets(self, namespace: u32, lsn: u64) -> Result<Vec<VectorSetRow>> {
        let sql = format!(
            "SELECT {SET_COLUMNS} FROM vector_set WHERE ns = ?1 \
                AND lsn_from <= ?2 AND (lsn_to IS NULL OR lsn_to > ?2) ORDER BY name"
        );
        self.all(&sql, params![namespace, to_db(lsn)], set_at)
    }

    /// The highest number a vector set ever had.
    pub(crate) fn last_vector_set(self) -> Result<u32> {
        Ok(self.one("SELECT max(id) FROM vector_set", [], |row| row.get::<_, Option<u32>>(0))?.flatten().unwrap_or(0))
    }

    /// The highest number a part of this set ever had.
    pub(crate) fn last_part(self, set: u32) -> Result<u32> {
        let sql = "SELECT max(part) FROM vector_part WHERE vector_set = ?1";
        Ok(self.one(sql, [set], |row| row.get::<_, Option<u32>>(0))?.flatten().unwrap_or(0))
    }

    /// Parts of a set at `lsn`, in order.
    pub(crate) fn parts(self, set: u32, lsn: u64) -> Result<Vec<PartState>> {
        let sql = "SELECT p.part, p.rows, p.lsn_from, (SELECT t.lsn_from FROM tombstone t WHERE t.vector_set = ?1 \
               AND t.part = p.part AND t.lsn_from <= ?2 AND (t.lsn_to IS NULL OR t.lsn_to > ?2)), \
             (SELECT min(f.lsn_from) FROM vector_part f WHERE f.vector_set = ?1 AND f.part = p.part) \
             FROM vector_part p WHERE p.vector_set = ?1 AND p.lsn_from <= ?2 AND (p.lsn_to IS NULL OR p.lsn_to > ?2) \
             ORDER BY p.part";
        self.all(sql, params![set, to_db(lsn)], |row| {
            Ok(PartState {
                part: row.get(0)?,
                rows: u64_at(row, 1)?,
                lsn_from: u64_at(row, 2)?,
                tombstone_lsn: row.get::<_, Option<i64>>(3)?.map(from_db),
                added_lsn: u64_at(row, 4)?,
            })
        })
    }

    /// The payloads of a part in one of its states.
    pub(crate) fn part(self, set: u32, state: &PartState) -> Result<PartRow> {
        let sql =
            "SELECT vectors, ids, companion FROM vector_part WHERE vector_set = ?1 AND part = ?2 AND lsn_from = ?3";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<PayloadId>>(2)?));
        let found = self.one(sql, params![set, state.part, to_db(state.lsn_from)], read)?;
        let (vectors, ids, companion) = found.ok_or_else(|| damaged("a part of a vector set is gone"))?;
        let sql = "SELECT bitmap FROM tombstone WHERE vector_set = ?1 AND part = ?2 AND lsn_from = ?3";
        let bitmap = match state.tombstone_lsn {
            Some(lsn) => self.one(sql, params![set, state.part, to_db(lsn)], |row| row.get(0))?,
            None => None,
        };
        Ok(PartRow {
            vectors: self.placed(vectors)?,
            ids: self.placed(ids)?,
            companion: companion.map(|payload| self.placed(payload)).transpose()?,
            tombstones: bitmap.map(|payload| self.placed(payload)).transpose()?,
        })
    }

    /// A payload and its best copy: of the fastest tier, then the newest.
    fn placed(self, payload: PayloadId) -> Result<PlacedPayload> {
        let sql = format!(
            "SELECT {COPY_COLUMNS} FROM copy c JOIN segment s ON s.id = c.segment WHERE c.payload = ?1 \
              ORDER BY c.tier, c.lsn DESC LIMIT 1"
        );
        let copy = self.one(&sql, [payload], |row| copy_at(row, 0))?;
        let read = |row: &Row<'_>| Ok((digest_at(row, 0)?, u64_at(row, 1)?));
        let found = self.one("SELECT digest, raw_bytes FROM payload WHERE id = ?1", [payload], read)?;
        let (digest, raw_bytes) = found.ok_or_else(|| damaged("a payload of a vector set is gone"))?;
        Ok(PlacedPayload { payload, digest, raw_bytes, copy })
    }

    /// Uses of the payloads `wanted` accepts by vector sets.
    pub(crate) fn parts_with(self, mut wanted: impl FnMut(PayloadId) -> bool) -> Result<Vec<PartUse>> {
        let sql = "SELECT u.payload, s.ns, s.name, u.part, u.role, u.lsn_from, u.lsn_to IS NULL FROM ( \
               SELECT vectors AS payload, vector_set, part, 'vectors' AS role, lsn_from, lsn_to FROM vector_part \
               UNION ALL SELECT ids, vector_set, part, 'ids', lsn_from, lsn_to FROM vector_part \
               UNION ALL SELECT companion, vector_set, part, 'companion', lsn_from, lsn_to FROM vector_part \
                 WHERE companion IS NOT NULL \
               UNION ALL SELECT bitmap, vector_set, part, 'tombstones', lsn_from, lsn_to FROM tombstone) u \
             JOIN vector_set s ON s.id = u.vector_set";
        let uses: Vec<PartUse> = self.all(sql, [], |row| {
            Ok(PartUse {
                payload: row.get(0)?,
                namespace: row.get(1)?,
                set: row.get(2)?,
                part: row.get(3)?,
                role: row.get(4)?,
                lsn_from: u64_at(row, 5)?,
                is_current: row.get(6)?,
            })
        })?;
        Ok(uses.into_iter().filter(|part| wanted(part.payload)).collect())
    }
}
