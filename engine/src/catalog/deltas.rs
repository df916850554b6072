//! Payloads coded against another one, their base: what the catalog changes and answers about them. A base is coded against
//! nothing itself, and stays as long as another payload needs it, whether anything else uses it or not.

use rusqlite::params;

use crate::digest::Digest;
use crate::error::{Error, Result};

use super::apply::Changes;
use super::commit::CodeAgainst;
use super::connection::{SCHEMA_VERSION_DELTA, error};
use super::query::{COPY_COLUMNS, VERSION_COLUMNS, View, copy_at, digest_at, to_db, u64_at, version_at};
use super::rows::{CopyRow, PayloadId, VersionRow};

/// Payloads that others are coded against, as a list for `IN`.
pub(super) const BASES: &str = "(SELECT base FROM payload WHERE base IS NOT NULL)";

/// Whether the payload `p` is the only one for which its base is kept: coded anew, it and the base would take less.
pub(super) const KEEPS_ITS_BASE_ALONE: &str = "EXISTS (SELECT 1 FROM payload b WHERE b.id = p.base AND b.all_refs = 0 \
       AND 1 = (SELECT count(*) FROM payload d WHERE d.base = p.base))";

impl Changes<'_> {
    /// The payload's copy is coded against the base.
    pub(super) fn code_against(&self, code: &CodeAgainst) -> Result<()> {
        self.upgrade()?;
        let raw_bytes = self.row(
            "SELECT id, raw_bytes FROM payload WHERE ns = ?1 AND digest = ?2",
            params![code.namespace, code.payload.0],
            |row| Ok((row.get::<_, PayloadId>(0)?, u64_at(row, 1)?)),
        )?;
        let (payload, raw_bytes) = raw_bytes.ok_or_else(|| Error::internal("a base for a payload without a copy"))?;
        let base = match self.payload_id(code.namespace, &code.base)? {
            Some(id) => id,
            // Only after damage: a rebuild keeps the payload, whose reads then say what is missing.
            None => self.add_payload(code.namespace, &code.base, raw_bytes)?,
        };
        self.end_stale_ties(payload, base)?;
        self.run("UPDATE payload SET base = ?2 WHERE id = ?1", [payload, base])?;
        Ok(())
    }

    /// Only after damage: where the base is a delta itself, or others are coded against the payload, the commits that ended
    /// those ties are lost, and with them where that was put. The copies that they gave up are no longer the payload's.
    fn end_stale_ties(&self, payload: PayloadId, base: PayloadId) -> Result<()> {
        let stale = "(SELECT id FROM payload WHERE (id = ?2 AND base IS NOT NULL) OR base = ?1)";
        self.run(&format!("DELETE FROM copy WHERE payload IN {stale}"), [payload, base])?;
        self.run(&format!("UPDATE payload SET base = NULL WHERE id IN {stale}"), [payload, base])?;
        Ok(())
    }

    /// The payload is no longer coded against anything; returns what it was coded against.
    pub(super) fn forget_base(&self, payload: PayloadId) -> Result<Option<PayloadId>> {
        let base = self.number("SELECT base FROM payload WHERE id = ?1 AND base IS NOT NULL", [payload])?;
        if base.is_some() {
            self.run("UPDATE payload SET base = NULL WHERE id = ?1", [payload])?;
        }
        Ok(base)
    }

    /// Gives a payload up that nothing uses and nothing is coded against.
    pub(super) fn drop_unneeded(&self, payload: PayloadId) -> Result<()> {
        let needed =
            "SELECT all_refs > 0 OR EXISTS (SELECT 1 FROM payload d WHERE d.base = ?1) FROM payload WHERE id = ?1";
        if self.number(needed, [payload])? == Some(0) {
            self.run("DELETE FROM copy WHERE payload = ?1", [payload])?;
            self.run("DELETE FROM payload WHERE id = ?1", [payload])?;
        }
        Ok(())
    }

    /// Brings the schema to where it knows deltas.
    fn upgrade(&self) -> Result<()> {
        if self.number("PRAGMA user_version", [])?.is_some_and(|version| version < SCHEMA_VERSION_DELTA) {
            let sql = format!("{} PRAGMA user_version = {SCHEMA_VERSION_DELTA};", include_str!("schema_2.sql"));
            self.connection.execute_batch(&sql).map_err(|e| error("writing", e))?;
        }
        Ok(())
    }
}

impl View<'_> {
    /// Where the base of a payload lies, its best copy.
    pub(crate) fn base_of(self, payload: PayloadId, base: &Digest) -> Result<Option<CopyRow>> {
        let sql = format!(
            "SELECT {COPY_COLUMNS} FROM payload p JOIN payload b ON b.ns = p.ns AND b.digest = ?2 \
               JOIN copy c ON c.payload = b.id JOIN segment s ON s.id = c.segment \
              WHERE p.id = ?1 ORDER BY c.tier, c.lsn DESC LIMIT 1"
        );
        self.one(&sql, params![payload, base.0], |row| copy_at(row, 0))
    }

    /// Whether nothing else keeps what this payload is coded against.
    pub(crate) fn keeps_its_base_alone(self, payload: PayloadId) -> Result<bool> {
        let sql = format!("SELECT {KEEPS_ITS_BASE_ALONE} FROM payload p WHERE p.id = ?1");
        Ok(self.one(&sql, [payload], |row| row.get(0))?.unwrap_or(false))
    }

    /// Whether other payloads are coded against this one.
    pub(crate) fn is_base(self, payload: PayloadId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM payload d WHERE d.base = ?1)";
        Ok(self.one(sql, [payload], |row| row.get(0))?.unwrap_or(false))
    }

    /// The payload itself, or what it is coded against.
    pub(crate) fn root_of(self, namespace: u32, digest: &Digest) -> Result<Option<Digest>> {
        let sql = "SELECT coalesce((SELECT b.digest FROM payload b WHERE b.id = p.base), p.digest) FROM payload p \
             WHERE p.ns = ?1 AND p.digest = ?2";
        self.one(sql, params![namespace, digest.0], |row| digest_at(row, 0))
    }

    /// Whether a payload may be coded against a base now: both are there, the base is coded against nothing, and nothing
    /// against the payload.
    pub(crate) fn may_code_against(self, namespace: u32, payload: &Digest, base: &Digest) -> Result<bool> {
        let sql = "SELECT 1 FROM payload p JOIN payload b ON b.ns = p.ns WHERE p.ns = ?1 AND p.digest = ?2 AND b.digest = ?3 \
                AND b.id <> p.id AND b.base IS NULL AND b.raw_bytes = p.raw_bytes \
                AND NOT EXISTS (SELECT 1 FROM payload d WHERE d.base = p.id) \
                AND EXISTS (SELECT 1 FROM copy c WHERE c.payload = b.id)";
        Ok(self.one(sql, params![namespace, payload.0, base.0], |_| Ok(()))?.is_some())
    }

    /// What a version was made from, in the order it was said, and then the version of the key before it.
    pub(crate) fn relatives(self, namespace: u32, version: &VersionRow) -> Result<Vec<VersionRow>> {
        let (key, lsn) = (version.key.as_ref(), to_db(version.lsn_from));
        let parents = format!(
            "SELECT {VERSION_COLUMNS} FROM lineage l JOIN atom_version v \
                 ON v.ns = l.ns AND v.key = l.parent_key AND v.lsn_from = l.parent_lsn \
              WHERE l.ns = ?1 AND l.key = ?2 AND l.lsn_from = ?3 ORDER BY l.ordinal"
        );
        let mut relatives = self.all(&parents, params![namespace, key, lsn], |row| version_at(row, 0))?;
        let before = format!(
            "SELECT {VERSION_COLUMNS} FROM atom_version v WHERE v.ns = ?1 AND v.key = ?2 AND v.lsn_from < ?3 \
              ORDER BY v.lsn_from DESC LIMIT 1"
        );
        relatives.extend(self.one(&before, params![namespace, key, lsn], |row| version_at(row, 0))?);
        Ok(relatives)
    }
}
