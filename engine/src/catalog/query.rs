//! Every question the engine asks the catalog; those about vector sets are in [`super::query_vectors`], those about tiers
//! in [`super::query_tiers`], about deltas in [`super::deltas`]. SQL of questions is in these and in [`super::reclaim`].

use std::cmp::Reverse;
use std::collections::HashMap;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use crate::digest::Digest;
use crate::dtype::byte_len;
use crate::error::{Error, Result};
use crate::format::{Codec, Tier};
use crate::key::{Key, KeyRef, prefix_end};
use crate::segment::encoding_from_text;

use super::apply_vectors::PAYLOAD_USES;
use super::commit::CommitId;
use super::connection::{damaged, error};
use super::deltas::BASES;
use super::rows::{
    CommitRow, CopyRow, Found, Head, ManifestRow, PayloadId, SegmentRow, SegmentState, SegmentSums, StoredRow, Totals,
    VersionRow,
};

/// One consistent look at the catalog, as of the connection's current read.
#[derive(Clone, Copy)]
pub(crate) struct View<'c> {
    connection: &'c Connection,
}

/// Which keys a listing covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    /// Names starting with this; everything, integers included, when empty.
    pub(crate) prefix: &'a str,
    /// Only keys behind this one.
    pub(crate) after: Option<KeyRef<'a>>,
    /// At most so many.
    pub(crate) limit: usize,
}

impl Span<'_> {
    /// The smallest key inside.
    fn first(&self) -> Value {
        let after = self.after.map(|after| match after {
            // No key lies between a name and the same name with a NUL behind it, because keys hold no NUL.
            KeyRef::Name(name) => Value::Text(format!("{name}\0")),
            KeyRef::Int(i64::MAX) => Value::Text(String::new()),
            KeyRef::Int(n) => Value::Integer(n + 1),
        });
        match (after, self.prefix) {
            (after, "") => after.unwrap_or(Value::Integer(i64::MIN)),
            (Some(Value::Text(after)), prefix) if after.as_str() > prefix => Value::Text(after),
            (_, prefix) => Value::Text(prefix.to_owned()),
        }
    }

    /// A value behind every key inside; blobs sort behind all keys.
    fn end(&self) -> Value {
        prefix_end(self.prefix).map_or(Value::Blob(Vec::new()), Value::Text)
    }
}

impl ToSql for KeyRef<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            KeyRef::Int(n) => ToSqlOutput::Owned(Value::Integer(*n)),
            KeyRef::Name(name) => ToSqlOutput::Borrowed(ValueRef::Text(name.as_bytes())),
        })
    }
}

/// The latest state, as an LSN bound for queries.
pub(crate) const LATEST: u64 = i64::MAX as u64;

pub(super) fn to_db(n: u64) -> i64 {
    n as i64
}

pub(super) fn from_db(n: i64) -> u64 {
    n as u64
}

pub(super) type Sql<T> = rusqlite::Result<T>;

pub(super) fn bad<T>(column: usize, what: &str) -> Sql<T> {
    Err(rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Null, what.to_owned().into()))
}

pub(super) fn u64_at(row: &Row<'_>, column: usize) -> Sql<u64> {
    row.get(column).map(from_db)
}

pub(super) fn key_at(row: &Row<'_>, column: usize) -> Sql<Key> {
    match row.get_ref(column)? {
        ValueRef::Integer(n) => Ok(Key::Int(n)),
        ValueRef::Text(name) => match std::str::from_utf8(name) {
            Ok(name) => Ok(Key::Name(name.into())),
            Err(_) => bad(column, "a key that is not UTF-8"),
        },
        _ => bad(column, "a key of another type"),
    }
}

pub(super) fn digest_at(row: &Row<'_>, column: usize) -> Sql<Digest> {
    row.get(column).map(Digest)
}

fn shape_at(row: &Row<'_>, column: usize) -> Sql<Vec<u64>> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).or_else(|_| bad(column, "a shape that is not a JSON array"))
}

pub(super) fn tier_at(row: &Row<'_>, column: usize) -> Sql<Tier> {
    let number: u8 = row.get(column)?;
    Tier::from_number(number).map_or_else(|| bad(column, "an unknown tier"), Ok)
}

pub(super) fn codec_at(row: &Row<'_>, column: usize) -> Sql<Codec> {
    let number: u8 = row.get(column)?;
    Codec::from_number(number).map_or_else(|| bad(column, "an unknown codec"), Ok)
}

pub(super) fn version_at(row: &Row<'_>, first: usize) -> Sql<VersionRow> {
    let dtype = row.get_ref(first + 5)?.as_str()?.parse().or_else(|_| bad(first + 5, "an unknown dtype"))?;
    let encoding: Option<String> = row.get(first + 7)?;
    let encoding = encoding_from_text(encoding.as_deref().unwrap_or_default())
        .or_else(|_| bad(first + 7, "an unknown encoding"))?;
    let shape = shape_at(row, first + 6)?;
    Ok(VersionRow {
        key: key_at(row, first)?,
        lsn_from: u64_at(row, first + 1)?,
        lsn_to: row.get::<_, Option<i64>>(first + 2)?.map(from_db),
        payload: row.get(first + 3)?,
        digest: digest_at(row, first + 4)?,
        raw_bytes: byte_len(dtype, &shape, &encoding).or_else(|_| bad(first + 6, "an impossible shape"))?,
        dtype,
        shape,
        encoding,
        metadata: row.get(first + 8)?,
        created_us: u64_at(row, first + 9)?,
    })
}

pub(super) const VERSION_COLUMNS: &str =
    "v.key, v.lsn_from, v.lsn_to, v.payload, v.digest, v.dtype, v.shape, v.encoding, v.metadata, v.created_us";

pub(super) fn copy_at(row: &Row<'_>, first: usize) -> Sql<CopyRow> {
    Ok(CopyRow {
        payload: row.get(first + 8)?,
        segment: u64_at(row, first)?,
        offset: u64_at(row, first + 1)?,
        extent_bytes: u64_at(row, first + 2)?,
        stored_bytes: u64_at(row, first + 3)?,
        codec: codec_at(row, first + 4)?,
        tier: tier_at(row, first + 5)?,
        salt: u64_at(row, first + 6)?,
        capacity_bytes: u64_at(row, first + 7)?,
        site: tier_at(row, first + 9)?,
    })
}

pub(super) const COPY_COLUMNS: &str =
    "c.segment, c.offset, c.extent_bytes, c.stored_bytes, c.codec, c.tier, s.salt, s.capacity_bytes, c.payload, s.tier";

pub(super) fn stored_at(row: &Row<'_>) -> Sql<StoredRow> {
    Ok(StoredRow {
        payload: row.get(0)?,
        namespace: row.get(1)?,
        digest: digest_at(row, 2)?,
        raw_bytes: u64_at(row, 3)?,
        live_refs: u64_at(row, 4)?,
        all_refs: u64_at(row, 5)?,
        copy: copy_at(row, 6)?,
    })
}

pub(super) const STORED_COLUMNS: &str = "p.id, p.ns, p.digest, p.raw_bytes, p.live_refs, p.all_refs";

pub(super) fn commit_at(row: &Row<'_>) -> Sql<CommitRow> {
    Ok(CommitRow {
        lsn: u64_at(row, 0)?,
        time_us: u64_at(row, 1)?,
        id: row.get(2)?,
        segment: u64_at(row, 3)?,
        offset: u64_at(row, 4)?,
        extent_bytes: u64_at(row, 5)?,
    })
}

pub(super) const COMMIT_COLUMNS: &str = "lsn, time_us, id, segment, offset, extent_bytes";

fn segment_at(row: &Row<'_>) -> Sql<SegmentRow> {
    Ok(SegmentRow {
        id: u64_at(row, 0)?,
        tier: tier_at(row, 1)?,
        state: SegmentState::from_number(row.get(2)?).map_or_else(|| bad(2, "an unknown state"), Ok)?,
        suspect: row.get(3)?,
        salt: u64_at(row, 4)?,
        capacity_bytes: u64_at(row, 5)?,
        used_bytes: u64_at(row, 6)?,
        dead_bytes: u64_at(row, 7)?,
    })
}

const SEGMENT_COLUMNS: &str = "id, tier, state, suspect, salt, capacity_bytes, used_bytes, dead_bytes";

impl<'c> View<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        View { connection }
    }

    pub(super) fn one<T>(
        self,
        sql: &str,
        args: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Sql<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| error("reading", e))?;
        statement.query_row(args, read).optional().map_err(|e| error("reading", e))
    }

    pub(super) fn all<T>(
        self,
        sql: &str,
        args: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> Sql<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| error("reading", e))?;
        let rows = statement.query_map(args, read).map_err(|e| error("reading", e))?;
        rows.collect::<Sql<_>>().map_err(|e| error("reading", e))
    }

    /// Reads a long answer row by row.
    pub(super) fn each(self, sql: &str, mut read: impl FnMut(&Row<'_>) -> Sql<()>) -> Result<()> {
        let fail = |e| error("reading", e);
        let mut statement = self.connection.prepare_cached(sql).map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            read(row).map_err(fail)?;
        }
        Ok(())
    }

    /// The newest commit.
    pub(crate) fn head(self) -> Result<Head> {
        let sql = "SELECT lsn, commit_id, time_us, synced_lsn, boot_id FROM head WHERE id = 1";
        let head = self.one(sql, [], |row| {
            Ok(Head {
                lsn: u64_at(row, 0)?,
                commit_id: row.get(1)?,
                time_us: u64_at(row, 2)?,
                synced_lsn: u64_at(row, 3)?,
                boot_id: u128::from_le_bytes(row.get(4)?),
            })
        })?;
        head.ok_or_else(|| damaged("the catalog has no head"))
    }

    /// The store this catalog belongs to.
    pub(crate) fn store_uuid(self) -> Result<[u8; 16]> {
        let uuid = self.one("SELECT store_uuid FROM head WHERE id = 1", [], |row| row.get(0))?;
        uuid.ok_or_else(|| damaged("the catalog has no head"))
    }

    /// The version of a key that is valid at `lsn`, with its best copy.
    pub(crate) fn version(self, namespace: u32, key: KeyRef<'_>, lsn: u64) -> Result<Option<Found>> {
        // One seek into each table and no sorting: rows come newest version first, one per copy, and only those of the
        // first version are stepped over.
        let sql = format!(
            "SELECT {VERSION_COLUMNS}, {COPY_COLUMNS}, c.lsn FROM atom_version v \
               LEFT JOIN copy c ON c.payload = v.payload LEFT JOIN segment s ON s.id = c.segment \
              WHERE v.ns = ?1 AND v.key = ?2 AND v.lsn_from <= ?3 ORDER BY v.lsn_from DESC"
        );
        let read = |e| error("reading", e);
        let mut statement = self.connection.prepare_cached(&sql).map_err(read)?;
        let mut rows = statement.query(params![namespace, key, to_db(lsn)]).map_err(read)?;
        let mut found: Option<Found> = None;
        let mut best_lsn = 0;
        while let Some(row) = rows.next().map_err(read)? {
            let found = match &mut found {
                Some(found) if u64_at(row, 1).map_err(read)? != found.version.lsn_from => break,
                Some(found) => found,
                None => found.insert(Found { version: version_at(row, 0).map_err(read)?, copy: None }),
            };
            if matches!(row.get_ref(10).map_err(read)?, ValueRef::Null) {
                break;
            }
            // The fastest tier wins, then the newest copy: an older one may have been found damaged.
            let copy = copy_at(row, 10).map_err(read)?;
            let copy_lsn = u64_at(row, 20).map_err(read)?;
            let is_better =
                found.copy.as_ref().is_none_or(|best| (copy.tier, Reverse(copy_lsn)) < (best.tier, Reverse(best_lsn)));
            if is_better {
                (found.copy, best_lsn) = (Some(copy), copy_lsn);
            }
        }
        // The newest version may have been closed before `lsn`: then the key was deleted.
        Ok(found.filter(|found| found.version.lsn_to.is_none_or(|to| to > lsn)))
    }

    /// Versions valid at `lsn`, in key order, with the tier of their best copy.
    pub(crate) fn list(self, namespace: u32, span: Span<'_>, lsn: u64) -> Result<Vec<(VersionRow, Option<Tier>)>> {
        let sql = format!(
            "SELECT {VERSION_COLUMNS}, (SELECT min(c.tier) FROM copy c WHERE c.payload = v.payload) \
               FROM atom_version v \
              WHERE v.ns = ?1 AND v.key >= ?2 AND v.key < ?3 \
                AND v.lsn_from <= ?4 AND (v.lsn_to IS NULL OR v.lsn_to > ?4) ORDER BY v.key LIMIT ?5"
        );
        let limit = i64::try_from(span.limit).unwrap_or(i64::MAX);
        self.all(&sql, params![namespace, span.first(), span.end(), to_db(lsn), limit], |row| {
            let tier = match row.get_ref(10)? {
                ValueRef::Null => None,
                _ => Some(tier_at(row, 10)?),
            };
            Ok((version_at(row, 0)?, tier))
        })
    }

    /// Keys whose current version changed in the commits `after + 1 ..= until`, at most `limit`.
    pub(crate) fn changed_keys(self, after: u64, until: u64, limit: usize) -> Result<Vec<(u32, Key)>> {
        let sql = "SELECT ns, key FROM atom_version WHERE lsn_from > ?1 AND lsn_from <= ?2 \
             UNION ALL SELECT ns, key FROM atom_version WHERE lsn_to > ?1 AND lsn_to <= ?2 LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(sql, params![to_db(after), to_db(until), limit], |row| Ok((row.get(0)?, key_at(row, 1)?)))
    }

    /// Name of a commit.
    pub(crate) fn commit_id(self, lsn: u64) -> Result<Option<CommitId>> {
        self.one("SELECT id FROM commit_log WHERE lsn = ?1", [to_db(lsn)], |row| row.get(0))
    }

    /// The newest commit at or before a moment.
    pub(crate) fn lsn_at_time(self, time_us: u64) -> Result<u64> {
        let sql = "SELECT lsn FROM commit_log WHERE time_us <= ?1 ORDER BY time_us DESC, lsn DESC LIMIT 1";
        Ok(self.one(sql, [to_db(time_us)], |row| u64_at(row, 0))?.unwrap_or(0))
    }

    /// Number of a namespace.
    pub(crate) fn namespace(self, name: &str) -> Result<Option<u32>> {
        self.one("SELECT id FROM namespace WHERE name = ?1", [name], |row| row.get(0))
    }

    /// All namespaces by number.
    pub(crate) fn namespaces(self) -> Result<Vec<(u32, String)>> {
        self.all("SELECT id, name FROM namespace ORDER BY id", [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The payload of this digest in a namespace, with its newest copy, if it has one.
    pub(crate) fn payload(self, namespace: u32, digest: &Digest) -> Result<Option<StoredRow>> {
        let sql = format!(
            "SELECT {STORED_COLUMNS}, {COPY_COLUMNS} FROM payload p JOIN copy c ON c.payload = p.id \
               JOIN segment s ON s.id = c.segment WHERE p.ns = ?1 AND p.digest = ?2 ORDER BY c.tier, c.lsn DESC LIMIT 1"
        );
        self.one(&sql, params![namespace, digest.0], stored_at)
    }

    /// Copies of payloads with ids greater than `after`, in order of payload, at most `limit`.
    pub(crate) fn stored_after(self, after: (PayloadId, u64, u64), limit: usize) -> Result<Vec<StoredRow>> {
        let sql = format!(
            "SELECT {STORED_COLUMNS}, {COPY_COLUMNS} FROM copy c JOIN payload p ON p.id = c.payload \
               JOIN segment s ON s.id = c.segment WHERE (c.payload, c.segment, c.offset) > (?1, ?2, ?3) \
              ORDER BY c.payload, c.segment, c.offset LIMIT ?4"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(&sql, params![after.0, to_db(after.1), to_db(after.2), limit], stored_at)
    }

    /// Payloads that have no copy at all: a trace of damage, since every commit brings one.
    pub(crate) fn payloads_without_copy(self) -> Result<Vec<PayloadId>> {
        let sql = "SELECT id FROM payload p WHERE NOT EXISTS (SELECT 1 FROM copy c WHERE c.payload = p.id)";
        self.all(sql, [], |row| row.get(0))
    }

    /// Every version that uses one of the payloads `wanted` accepts: namespace, key, LSN, whether current.
    pub(crate) fn users(
        self,
        mut wanted: impl FnMut(PayloadId) -> bool,
        mut found: impl FnMut(PayloadId, u32, Key, u64, bool),
    ) -> Result<()> {
        let sql = "SELECT payload, ns, key, lsn_from, lsn_to IS NULL FROM atom_version";
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| error("reading", e))?;
        let mut rows = statement.query([]).map_err(|e| error("reading", e))?;
        while let Some(row) = rows.next().map_err(|e| error("reading", e))? {
            let mut read = || -> Sql<()> {
                let payload = row.get(0)?;
                if wanted(payload) {
                    found(payload, row.get(1)?, key_at(row, 2)?, u64_at(row, 3)?, row.get(4)?);
                }
                Ok(())
            };
            read().map_err(|e| error("reading", e))?;
        }
        Ok(())
    }

    /// Names of the manifests whose header is one of the payloads `wanted` accepts.
    pub(crate) fn manifests_with(self, mut wanted: impl FnMut(PayloadId) -> bool) -> Result<Vec<(PayloadId, String)>> {
        let sql = "SELECT header, prefix || name FROM manifest WHERE lsn_to IS NULL";
        let rows: Vec<(PayloadId, String)> = self.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().filter(|(payload, _)| wanted(*payload)).collect())
    }

    /// One segment.
    pub(crate) fn segment(self, id: u64) -> Result<Option<SegmentRow>> {
        self.one(&format!("SELECT {SEGMENT_COLUMNS} FROM segment WHERE id = ?1"), [to_db(id)], segment_at)
    }

    /// All segments by number.
    pub(crate) fn segments(self) -> Result<Vec<SegmentRow>> {
        self.all(&format!("SELECT {SEGMENT_COLUMNS} FROM segment ORDER BY id"), [], segment_at)
    }

    /// Segments that could take more records, newest first.
    pub(crate) fn open_segments(self) -> Result<Vec<SegmentRow>> {
        let sql = format!("SELECT {SEGMENT_COLUMNS} FROM segment WHERE state = 1 AND suspect = 0 ORDER BY id DESC");
        self.all(&sql, [], segment_at)
    }

    /// Whether a segment is in the cold directory.
    pub(crate) fn has_cold_segments(self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM segment WHERE tier = 3 AND state <> 4)";
        Ok(self.one(sql, [], |row| row.get(0))?.unwrap_or(false))
    }

    /// The highest segment number ever used.
    pub(crate) fn last_segment(self) -> Result<u64> {
        Ok(self
            .one("SELECT max(id) FROM segment", [], |row| row.get::<_, Option<i64>>(0))?
            .flatten()
            .map_or(0, from_db))
    }

    /// Records of a segment that the catalog knows, in order: offset, extent, whether a commit's.
    pub(crate) fn records(self, segment: u64) -> Result<Vec<(u64, u64, bool)>> {
        let sql = "SELECT offset, extent_bytes, 0 FROM copy WHERE segment = ?1 \
             UNION ALL SELECT offset, extent_bytes, 1 FROM commit_log WHERE segment = ?1 ORDER BY 1";
        self.all(sql, [to_db(segment)], |row| Ok((u64_at(row, 0)?, u64_at(row, 1)?, row.get(2)?)))
    }

    /// Segments that the commits `after + 1 ..= until` wrote to.
    pub(crate) fn segments_between(self, after: u64, until: u64) -> Result<Vec<u64>> {
        let sql = "SELECT segment FROM commit_log WHERE lsn > ?1 AND lsn <= ?2 \
             UNION SELECT segment FROM copy WHERE lsn > ?1 AND lsn <= ?2";
        self.all(sql, params![to_db(after), to_db(until)], |row| u64_at(row, 0))
    }

    /// Commits after `lsn`, in order, at most `limit`.
    pub(crate) fn commits_after(self, lsn: u64, limit: usize) -> Result<Vec<CommitRow>> {
        let sql = format!("SELECT {COMMIT_COLUMNS} FROM commit_log WHERE lsn > ?1 ORDER BY lsn LIMIT ?2");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(&sql, params![to_db(lsn), limit], commit_at)
    }

    /// Copies that a commit made known.
    pub(crate) fn copies_of_commit(self, lsn: u64) -> Result<Vec<StoredRow>> {
        let sql = format!(
            "SELECT {STORED_COLUMNS}, {COPY_COLUMNS} FROM copy c JOIN payload p ON p.id = c.payload \
               JOIN segment s ON s.id = c.segment WHERE c.lsn = ?1"
        );
        self.all(&sql, [to_db(lsn)], stored_at)
    }

    /// Manifests under a prefix that are valid at `lsn`, with their header payloads.
    pub(crate) fn manifests(self, namespace: u32, prefix: &str, lsn: u64) -> Result<Vec<ManifestRow>> {
        let sql = format!(
            "SELECT {STORED_COLUMNS}, {COPY_COLUMNS}, m.prefix, m.name, m.format FROM manifest m \
               JOIN payload p ON p.id = m.header JOIN copy c ON c.payload = p.id JOIN segment s ON s.id = c.segment \
              WHERE m.ns = ?1 AND m.prefix = ?2 AND m.lsn_from <= ?3 AND (m.lsn_to IS NULL OR m.lsn_to > ?3) \
              GROUP BY m.name ORDER BY m.name"
        );
        self.all(&sql, params![namespace, prefix, to_db(lsn)], |row| {
            Ok(ManifestRow { header: stored_at(row)?, prefix: row.get(16)?, name: row.get(17)?, format: row.get(18)? })
        })
    }

    /// Sums over everything, for `stat`.
    pub(crate) fn totals(self) -> Result<Totals> {
        let sql = "SELECT \
             (SELECT count(*) FROM atom_version WHERE lsn_to IS NULL), (SELECT count(*) FROM atom_version), \
             (SELECT count(*) FROM payload), \
             (SELECT coalesce(sum(p.raw_bytes), 0) FROM atom_version v JOIN payload p ON p.id = v.payload WHERE v.lsn_to IS NULL), \
             (SELECT coalesce(sum(c.stored_bytes), 0) FROM copy c JOIN payload p ON p.id = c.payload WHERE p.live_refs > 0), \
             (SELECT count(*) FROM vector_set WHERE lsn_to IS NULL), \
             (SELECT count(*) FROM vector_part WHERE lsn_to IS NULL)";
        let totals = self.one(sql, [], |row| {
            Ok(Totals {
                atoms: u64_at(row, 0)?,
                versions: u64_at(row, 1)?,
                payloads: u64_at(row, 2)?,
                raw_bytes: u64_at(row, 3)?,
                stored_bytes: u64_at(row, 4)?,
                vector_sets: u64_at(row, 5)?,
                vector_parts: u64_at(row, 6)?,
            })
        })?;
        totals.ok_or_else(|| Error::internal("a sum without a row"))
    }

    /// Bytes of each segment's records by use.
    pub(crate) fn segment_sums(self) -> Result<HashMap<u64, SegmentSums>> {
        let copies = format!(
            "SELECT c.segment, sum(CASE WHEN p.live_refs > 0 THEN c.extent_bytes ELSE 0 END), \
                    sum(CASE WHEN p.live_refs = 0 AND p.all_refs > 0 THEN c.extent_bytes ELSE 0 END), \
                    sum(CASE WHEN p.all_refs = 0 AND p.id IN {BASES} THEN c.extent_bytes ELSE 0 END) \
               FROM copy c JOIN payload p ON p.id = c.payload GROUP BY c.segment"
        );
        let mut sums: HashMap<u64, SegmentSums> = HashMap::new();
        let sums_at = |row: &Row<'_>| {
            let (live, history, bases) = (u64_at(row, 1)?, u64_at(row, 2)?, u64_at(row, 3)?);
            Ok((u64_at(row, 0)?, SegmentSums { live, history, bases, log: 0 }))
        };
        sums.extend(self.all(&copies, [], sums_at)?);
        let log = "SELECT segment, sum(extent_bytes) FROM commit_log GROUP BY segment";
        for (segment, bytes) in self.all(log, [], |row| Ok((u64_at(row, 0)?, u64_at(row, 1)?)))? {
            sums.entry(segment).or_default().log = bytes;
        }
        Ok(sums)
    }

    /// Counters that do not agree with the rows they count, as sentences. Empty when all is well.
    pub(crate) fn audit(self) -> Result<Vec<String>> {
        let references = format!(
            "SELECT count(*) FROM payload p LEFT JOIN ( \
               SELECT payload, sum(live) AS live, count(*) AS total FROM ({PAYLOAD_USES}) GROUP BY payload) u \
                 ON u.payload = p.id WHERE p.live_refs <> coalesce(u.live, 0) OR p.all_refs <> coalesce(u.total, 0)"
        );
        let checks: [(&str, &str); 7] = [
            ("payload reference counts", &references),
            (
                "dead bytes of segments",
                "SELECT count(*) FROM segment s WHERE s.dead_bytes <> s.used_bytes - 65536 \
                   - (SELECT coalesce(sum(c.extent_bytes), 0) FROM copy c JOIN payload p ON p.id = c.payload \
                       WHERE c.segment = s.id AND p.live_refs > 0) \
                   - (SELECT coalesce(sum(l.extent_bytes), 0) FROM commit_log l WHERE l.segment = s.id)",
            ),
            (
                "versions of a key that overlap",
                "SELECT count(*) FROM atom_version a JOIN atom_version b ON a.ns = b.ns AND a.key = b.key \
                    AND a.lsn_from < b.lsn_from WHERE a.lsn_to IS NULL OR a.lsn_to > b.lsn_from",
            ),
            (
                "versions without their payload",
                "SELECT count(*) FROM atom_version v LEFT JOIN payload p ON p.id = v.payload AND p.ns = v.ns \
                    AND p.digest = v.digest WHERE p.id IS NULL",
            ),
            (
                "payloads that do not agree with their base",
                "SELECT count(*) FROM copy c JOIN payload p ON p.id = c.payload LEFT JOIN payload b ON b.id = p.base \
                  WHERE (c.codec = 5) <> (p.base IS NOT NULL) \
                     OR (p.base IS NOT NULL AND (b.id IS NULL OR b.base IS NOT NULL OR b.ns <> p.ns OR b.raw_bytes <> p.raw_bytes))",
            ),
            (
                "vector sets of one name",
                "SELECT count(*) FROM vector_set a JOIN vector_set b ON a.ns = b.ns AND a.name = b.name AND a.id < b.id \
                  WHERE a.lsn_to IS NULL OR a.lsn_to > b.lsn_from",
            ),
            (
                "parts and tombstones without their vector set",
                "SELECT count(*) FROM (SELECT vector_set, lsn_to FROM vector_part \
                   UNION ALL SELECT vector_set, lsn_to FROM tombstone) u LEFT JOIN vector_set s ON s.id = u.vector_set \
                  WHERE s.id IS NULL OR (u.lsn_to IS NULL AND s.lsn_to IS NOT NULL)",
            ),
        ];
        let mut findings = Vec::new();
        for (what, sql) in checks {
            let wrong = self.one(sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0);
            if wrong > 0 {
                findings.push(format!("{what}: {wrong} wrong"));
            }
        }
        Ok(findings)
    }

    /// SQLite's own check of its structure, page checksums included. Sentences; empty when all is well.
    pub(crate) fn check_structure(self) -> Result<Vec<String>> {
        let rows = self.all("PRAGMA quick_check(100)", [], |row| row.get::<_, String>(0))?;
        Ok(rows.into_iter().filter(|line| line != "ok").collect())
    }
}
