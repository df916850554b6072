//! Rows of the catalog as plain values.

use crate::digest::Digest;
use crate::dtype::{DType, Encoding};
use crate::format::{Codec, Tier};
use crate::key::Key;
use crate::segment::SegmentKey;

use super::commit::{CommitId, VectorSetSpec};

/// Number of a payload in the catalog. Private to one catalog; a rebuild numbers anew.
pub(crate) type PayloadId = i64;

/// The newest commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) lsn: u64,
    pub(crate) commit_id: CommitId,
    pub(crate) time_us: u64,
    pub(crate) synced_lsn: u64,
    pub(crate) boot_id: u128,
}

/// One version of a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VersionRow {
    pub(crate) key: Key,
    pub(crate) lsn_from: u64,
    pub(crate) lsn_to: Option<u64>,
    pub(crate) payload: PayloadId,
    pub(crate) digest: Digest,
    pub(crate) raw_bytes: u64,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    pub(crate) encoding: Encoding,
    pub(crate) metadata: Option<String>,
    pub(crate) created_us: u64,
}

/// Where a copy of a payload lies, with what is needed to open its segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyRow {
    pub(crate) payload: PayloadId,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) extent_bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) codec: Codec,
    pub(crate) tier: Tier,
    /// Tier of the segment, which says in which directory its file is.
    pub(crate) site: Tier,
    pub(crate) salt: u64,
    pub(crate) capacity_bytes: u64,
}

impl CopyRow {
    /// What is needed to open its segment.
    pub(crate) fn key(&self) -> SegmentKey {
        SegmentKey { id: self.segment, salt: self.salt, capacity_bytes: self.capacity_bytes }
    }
}

/// A version with its best copy. A payload without any copy is damage of that atom.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) version: VersionRow,
    pub(crate) copy: Option<CopyRow>,
}

/// A payload with one of its copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRow {
    pub(crate) payload: PayloadId,
    pub(crate) namespace: u32,
    pub(crate) digest: Digest,
    pub(crate) raw_bytes: u64,
    pub(crate) live_refs: u64,
    pub(crate) all_refs: u64,
    pub(crate) copy: CopyRow,
}

/// State of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub(crate) enum SegmentState {
    Open = 1,
    Sealed = 2,
    Condemned = 3,
    Deleted = 4,
}

impl SegmentState {
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [Self::Open, Self::Sealed, Self::Condemned, Self::Deleted].into_iter().find(|&s| s as i64 == number)
    }
}

/// A segment as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) id: u64,
    pub(crate) tier: Tier,
    pub(crate) state: SegmentState,
    pub(crate) suspect: bool,
    pub(crate) salt: u64,
    pub(crate) capacity_bytes: u64,
    pub(crate) used_bytes: u64,
    pub(crate) dead_bytes: u64,
}

impl SegmentRow {
    /// What is needed to open it.
    pub(crate) fn key(&self) -> SegmentKey {
        SegmentKey { id: self.id, salt: self.salt, capacity_bytes: self.capacity_bytes }
    }
}

/// What a commit says about a segment it appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentUse {
    pub(crate) id: u64,
    pub(crate) tier: Tier,
    pub(crate) salt: u64,
    pub(crate) capacity_bytes: u64,
    pub(crate) used_bytes: u64,
}

/// A commit in the log table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitRow {
    pub(crate) lsn: u64,
    pub(crate) time_us: u64,
    pub(crate) id: CommitId,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) extent_bytes: u64,
}

/// The layout of an imported file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManifestRow {
    pub(crate) prefix: String,
    pub(crate) name: String,
    pub(crate) format: String,
    pub(crate) header: StoredRow,
}

impl VersionRow {
    /// The header of an imported file, described as an atom so that it can be read like one.
    pub(crate) fn of_header(manifest: &ManifestRow) -> Self {
        let stored = &manifest.header;
        VersionRow {
            key: Key::from(format!("{}{}", manifest.prefix, manifest.name)),
            lsn_from: 0,
            lsn_to: None,
            payload: stored.payload,
            digest: stored.digest,
            raw_bytes: stored.raw_bytes,
            dtype: DType::U8,
            shape: vec![stored.raw_bytes],
            encoding: Encoding::Plain,
            metadata: None,
            created_us: 0,
        }
    }
}

/// Bytes of one segment's records by use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentSums {
    pub(crate) live: u64,
    pub(crate) history: u64,
    /// Of payloads that others are coded against and nothing else uses.
    pub(crate) bases: u64,
    pub(crate) log: u64,
}

/// Sums over the catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) atoms: u64,
    pub(crate) versions: u64,
    pub(crate) payloads: u64,
    /// Bytes of all current atoms as users see them, duplicates counted.
    pub(crate) raw_bytes: u64,
    /// Bytes of the payloads of current atoms as they are stored, duplicates counted once.
    pub(crate) stored_bytes: u64,
    pub(crate) vector_sets: u64,
    pub(crate) vector_parts: u64,
}

/// Payloads of a tier that are coded alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TierSums {
    pub(crate) tier: Tier,
    pub(crate) codec: Codec,
    pub(crate) payloads: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) stored_bytes: u64,
}

/// A payload with its best copy, and when it was stored and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsageRow {
    pub(crate) payload: PayloadId,
    pub(crate) namespace: u32,
    pub(crate) digest: Digest,
    pub(crate) raw_bytes: u64,
    pub(crate) tier: Tier,
    pub(crate) stored_bytes: u64,
    /// Time of the commit that stored it first; 0 if that is not known.
    pub(crate) written_us: u64,
    /// 0 for never.
    pub(crate) last_used_us: u64,
    /// It is coded against a payload that nothing else needs.
    pub(crate) keeps_its_base_alone: bool,
}

/// Reads of a payload by one process since it last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UseRow {
    pub(crate) payload: PayloadId,
    pub(crate) digest: Digest,
    pub(crate) count: u64,
    pub(crate) last_used_us: u64,
}

/// A vector set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VectorSetRow {
    pub(crate) spec: VectorSetSpec,
    /// Commit that created it.
    pub(crate) lsn_from: u64,
}

/// A payload with its best copy, if it has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlacedPayload {
    pub(crate) payload: PayloadId,
    pub(crate) digest: Digest,
    pub(crate) raw_bytes: u64,
    pub(crate) copy: Option<CopyRow>,
}

/// What identifies the state of a part: it changes when the part's companion or tombstones do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartState {
    pub(crate) part: u32,
    pub(crate) rows: u64,
    /// Commit that appended the part.
    pub(crate) added_lsn: u64,
    /// Commit that appended the part, or gave it its companion.
    pub(crate) lsn_from: u64,
    /// Commit that wrote the bitmap of deleted rows.
    pub(crate) tombstone_lsn: Option<u64>,
}

/// The payloads of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartRow {
    pub(crate) vectors: PlacedPayload,
    pub(crate) ids: PlacedPayload,
    pub(crate) companion: Option<PlacedPayload>,
    pub(crate) tombstones: Option<PlacedPayload>,
}

/// A use of a payload by a vector set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartUse {
    pub(crate) payload: PayloadId,
    pub(crate) namespace: u32,
    pub(crate) set: String,
    pub(crate) part: u32,
    /// `vectors`, `ids`, `companion`, `tombstones`.
    pub(crate) role: String,
    pub(crate) lsn_from: u64,
    pub(crate) is_current: bool,
}
