//! The questions the engine asks the catalog about tiers: where payloads lie, who uses them and when, and settings.

use rusqlite::Row;

use crate::digest::Digest;
use crate::dtype::{DType, Encoding};
use crate::error::Result;
use crate::key::{Key, KeyRef};

use super::deltas::KEEPS_ITS_BASE_ALONE;
use super::query::{Sql, VERSION_COLUMNS, View, bad, codec_at, digest_at, key_at, tier_at, u64_at, version_at};
use super::rows::{PayloadId, TierSums, UsageRow, VersionRow};

impl View<'_> {
    /// A setting of the store.
    pub(crate) fn setting(self, name: &str) -> Result<Option<String>> {
        self.one("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0))
    }

    /// Payloads that a version, manifest or vector set uses, with their best copies, by tier and codec.
    pub(crate) fn tier_sums(self) -> Result<Vec<TierSums>> {
        // SQLite takes the other columns from the row that holds the minimum.
        let sql = "SELECT tier, codec, count(*), sum(raw_bytes), sum(stored_bytes) FROM ( \
               SELECT min(c.tier) AS tier, c.codec, p.raw_bytes, c.stored_bytes FROM payload p JOIN copy c ON c.payload = p.id \
                WHERE p.all_refs > 0 GROUP BY p.id) GROUP BY tier, codec ORDER BY tier, codec";
        self.all(sql, [], |row| {
            Ok(TierSums {
                tier: tier_at(row, 0)?,
                codec: codec_at(row, 1)?,
                payloads: u64_at(row, 2)?,
                raw_bytes: u64_at(row, 3)?,
                stored_bytes: u64_at(row, 4)?,
            })
        })
    }

    /// Every payload that is used and has a copy, in order of payload.
    pub(crate) fn payload_usage(self, mut each: impl FnMut(UsageRow)) -> Result<()> {
        let sql = format!(
            "SELECT p.id, p.ns, p.digest, p.raw_bytes, min(c.tier), c.stored_bytes, coalesce(l.time_us, 0), \
               coalesce(p.last_used_us, 0), {KEEPS_ITS_BASE_ALONE} \
             FROM payload p JOIN copy c ON c.payload = p.id LEFT JOIN commit_log l ON l.lsn = p.lsn \
             WHERE p.all_refs > 0 GROUP BY p.id ORDER BY p.id"
        );
        self.each(&sql, |row| {
            each(UsageRow {
                payload: row.get(0)?,
                namespace: row.get(1)?,
                digest: digest_at(row, 2)?,
                raw_bytes: u64_at(row, 3)?,
                tier: tier_at(row, 4)?,
                stored_bytes: u64_at(row, 5)?,
                written_us: u64_at(row, 6)?,
                last_used_us: u64_at(row, 7)?,
                keeps_its_base_alone: row.get(8)?,
            });
            Ok(())
        })
    }

    /// Every name of every payload: keys of versions, closed ones included, names of imported files and of vector sets;
    /// with the time of the commit for versions, 0 for others.
    pub(crate) fn payload_names(self, mut each: impl FnMut(PayloadId, KeyRef<'_>, u64)) -> Result<()> {
        let sql = "SELECT payload, key, created_us FROM atom_version \
             UNION ALL SELECT header, prefix || name, 0 FROM manifest \
             UNION ALL SELECT u.payload, s.name, 0 FROM ( \
               SELECT vectors AS payload, vector_set FROM vector_part \
               UNION ALL SELECT ids, vector_set FROM vector_part \
               UNION ALL SELECT companion, vector_set FROM vector_part WHERE companion IS NOT NULL \
               UNION ALL SELECT bitmap, vector_set FROM tombstone) u JOIN vector_set s ON s.id = u.vector_set";
        self.each(sql, |row| {
            let key = key_at(row, 1)?;
            each(row.get(0)?, key.as_ref(), u64_at(row, 2)?);
            Ok(())
        })
    }

    /// Payloads that `wanted` accepts, each once, described as versions so that they can be copied: those of versions in
    /// the order of keys, then headers of imported files, then payloads of vector sets. Only versions have an LSN.
    pub(crate) fn descriptions(
        self,
        mut wanted: impl FnMut(u32, &Digest) -> bool,
        mut each: impl FnMut(u32, VersionRow),
    ) -> Result<()> {
        let sql = format!("SELECT {VERSION_COLUMNS}, v.ns FROM atom_version v");
        self.each(&sql, |row| {
            let namespace = row.get(10)?;
            if wanted(namespace, &digest_at(row, 4)?) {
                each(namespace, version_at(row, 0)?);
            }
            Ok(())
        })?;
        let sql = "SELECT p.ns, p.digest, p.id, p.raw_bytes, m.prefix || m.name, 'bytes', '', 0, 0 \
               FROM manifest m JOIN payload p ON p.id = m.header \
             UNION ALL SELECT p.ns, p.digest, p.id, p.raw_bytes, s.name, u.role, s.dtype, s.dim, u.rows FROM ( \
               SELECT vectors AS payload, vector_set, 'vectors' AS role, rows FROM vector_part \
               UNION ALL SELECT ids, vector_set, 'ids', rows FROM vector_part \
               UNION ALL SELECT companion, vector_set, 'bytes', rows FROM vector_part WHERE companion IS NOT NULL \
               UNION ALL SELECT bitmap, vector_set, 'bytes', 0 FROM tombstone) u \
             JOIN vector_set s ON s.id = u.vector_set JOIN payload p ON p.id = u.payload";
        self.each(sql, |row| {
            let namespace = row.get(0)?;
            if wanted(namespace, &digest_at(row, 1)?) {
                each(namespace, unkeyed_at(row)?);
            }
            Ok(())
        })
    }
}

/// A payload of an imported file or a vector set as the version of an atom that there is not.
fn unkeyed_at(row: &Row<'_>) -> Sql<VersionRow> {
    let raw_bytes = u64_at(row, 3)?;
    let (dtype, shape) = match row.get_ref(5)?.as_str()? {
        "vectors" => {
            let dtype = row.get_ref(6)?.as_str()?.parse().or_else(|_| bad(6, "an unknown dtype"))?;
            (dtype, vec![u64_at(row, 8)?, u64_at(row, 7)?])
        }
        "ids" => (DType::I64, vec![u64_at(row, 8)?]),
        _ => (DType::U8, vec![raw_bytes]),
    };
    Ok(VersionRow {
        key: Key::from(row.get::<_, String>(4)?),
        lsn_from: 0,
        lsn_to: None,
        payload: row.get(2)?,
        digest: digest_at(row, 1)?,
        raw_bytes,
        dtype,
        shape,
        encoding: Encoding::Plain,
        metadata: None,
        created_us: 0,
    })
}
