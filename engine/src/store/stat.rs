//! What the store holds, and what every byte of its directory is for.

use crate::catalog::{FILES, SegmentState};
use crate::error::{Result, ResultExt};
use crate::file::Open;
use crate::format::{LEASE_READER, SEGMENT_HEADER_AREA, Tier, names};
use crate::segment::{DecodeCacheStat, decode_cache};

use super::Store;

/// Facts and sums about a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// Newest commit.
    pub lsn: u64,
    /// Current atoms, all namespaces.
    pub atoms: u64,
    /// Versions, closed ones included.
    pub versions: u64,
    /// Distinct payloads.
    pub payloads: u64,
    /// Namespaces.
    pub namespaces: u64,
    /// Vector sets, all namespaces.
    pub vector_sets: u64,
    /// Their parts.
    pub vector_parts: u64,
    /// Segments the catalog knows.
    pub segments: u64,
    /// Bytes of all current atoms as users see them; duplicates count each time.
    pub raw_bytes: u64,
    /// Bytes of the payloads of current atoms as they are stored; duplicates count once.
    pub stored_bytes: u64,
    /// Payloads by the tier their fastest copy is in: warm, cold. Past versions' payloads are counted too.
    pub tiers: [TierStat; 2],
    /// Of the warm ones, those that are pinned.
    pub hot: TierStat,
    /// Bytes of pinned payloads that are in memory now, as the system counts pages.
    pub hot_resident_bytes: u64,
    /// The decode cache of this process, which all its stores share.
    pub decode_cache: DecodeCacheStat,
    /// Lengths of all files in the directory.
    pub disk_bytes: u64,
    /// What those bytes are for. The parts sum to `disk_bytes`.
    pub accounted: Accounted,
}

/// Payloads of a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TierStat {
    /// Distinct payloads.
    pub payloads: u64,
    /// Their lengths as users see them.
    pub raw_bytes: u64,
    /// Bytes their copies take.
    pub stored_bytes: u64,
}

impl TierStat {
    /// Raw bytes per stored byte; 1 for no bytes.
    pub fn ratio(&self) -> f64 {
        if self.stored_bytes == 0 { 1.0 } else { self.raw_bytes as f64 / self.stored_bytes as f64 }
    }
}

impl Stat {
    /// Name and value of each count and sum, in a fixed order: all but `accounted`.
    pub fn facts(&self) -> Vec<(&'static str, u64)> {
        let [warm, cold] = self.tiers;
        vec![
            ("lsn", self.lsn),
            ("atoms", self.atoms),
            ("versions", self.versions),
            ("payloads", self.payloads),
            ("namespaces", self.namespaces),
            ("vector_sets", self.vector_sets),
            ("vector_parts", self.vector_parts),
            ("segments", self.segments),
            ("raw_bytes", self.raw_bytes),
            ("stored_bytes", self.stored_bytes),
            ("disk_bytes", self.disk_bytes),
            ("hot_payloads", self.hot.payloads),
            ("hot_raw_bytes", self.hot.raw_bytes),
            ("hot_resident_bytes", self.hot_resident_bytes),
            ("warm_payloads", warm.payloads),
            ("warm_raw_bytes", warm.raw_bytes),
            ("warm_stored_bytes", warm.stored_bytes),
            ("cold_payloads", cold.payloads),
            ("cold_raw_bytes", cold.raw_bytes),
            ("cold_stored_bytes", cold.stored_bytes),
            ("decode_cache_budget_bytes", self.decode_cache.budget_bytes),
            ("decode_cache_bytes", self.decode_cache.bytes),
            ("decode_cache_hits", self.decode_cache.hits),
            ("decode_cache_misses", self.decode_cache.misses),
        ]
    }
}

macro_rules! accounted {
    ($($(#[$doc:meta])* $part:ident,)*) => {
        /// The bytes of a store's directory by purpose.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Accounted {
            $($(#[$doc])* pub $part: u64,)*
        }

        impl Accounted {
            /// Name and bytes of each part, in a fixed order.
            pub fn parts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($part), self.$part),)*]
            }
        }
    };
}

accounted! {
    /// Records of payloads that current atoms, manifests or vector sets use.
    live,
    /// Records of payloads that only older versions use.
    history,
    /// Committed bytes that nothing uses.
    dead,
    /// Segments given up, to be deleted by the next `gc`.
    condemned,
    /// Segments given up that somebody still reads: deleted by the first `gc` after that.
    held,
    /// Records of commits.
    log,
    /// Headers of segments.
    headers,
    /// Footers of sealed segments.
    index,
    /// Preallocated or uncommitted space in segments.
    slack,
    /// The catalog and its log.
    catalog,
    /// Space kept so that deleting works on a full disk.
    reserve,
    /// `store.json` and whatever else lies in the directory.
    other,
}

impl Accounted {
    /// Sum of all parts.
    pub fn total(&self) -> u64 {
        self.parts().iter().map(|(_, bytes)| bytes).sum()
    }
}

impl Store {
    /// Counts everything. Reads the catalog once through: about a second per million atoms.
    ///
    /// While others write, sizes and sums may be of slightly different moments; the parts add up all the same.
    pub fn stat(&self) -> Result<Stat> {
        self.inner.check_usable()?;
        self.stat_inner().map_err(|e| e.during("stat"))
    }

    fn stat_inner(&self) -> Result<Stat> {
        let volume = &self.inner.volume;
        let reader = self.inner.catalog.read()?;
        let ((lsn, totals, rows, sums, namespaces), tiers) = reader.consistently(|view| {
            let sums =
                (view.head()?.lsn, view.totals()?, view.segments()?, view.segment_sums()?, view.namespaces()?.len());
            Ok((sums, view.tier_sums()?))
        })?;
        drop(reader);
        let in_tier = |wanted: &dyn Fn(Tier) -> bool| {
            tiers.iter().filter(|sums| wanted(sums.tier)).fold(TierStat::default(), |sum, more| TierStat {
                payloads: sum.payloads + more.payloads,
                raw_bytes: sum.raw_bytes + more.raw_bytes,
                stored_bytes: sum.stored_bytes + more.stored_bytes,
            })
        };
        let (hot, hot_resident_bytes) = self.hot_stat()?;
        let mut accounted = Accounted::default();
        let mut disk_bytes = 0;
        for entry in volume.list(names::SEGMENTS).doing("listing the segments")? {
            disk_bytes += entry.len_bytes;
            let Some(id) = names::parse_segment(&entry.name) else {
                accounted.other += entry.len_bytes;
                continue;
            };
            let row = rows.iter().find(|row| row.id == id);
            if row.is_some_and(|row| matches!(row.state, SegmentState::Condemned | SegmentState::Deleted)) {
                let part = if self.is_read(id)? { &mut accounted.held } else { &mut accounted.condemned };
                *part += entry.len_bytes;
                continue;
            }
            let sums = sums.get(&id).copied().unwrap_or_default();
            let used = row.map_or(SEGMENT_HEADER_AREA, |row| row.used_bytes);
            let dead = used.saturating_sub(SEGMENT_HEADER_AREA + sums.live + sums.history + sums.log);
            let sealed = row.is_some_and(|row| row.state == SegmentState::Sealed);
            // Each part takes at most what is left of the file, so that the parts add up even if it was cut.
            let mut left = entry.len_bytes;
            let mut take = |want: u64| {
                let part = want.min(left);
                left -= part;
                part
            };
            accounted.headers += take(SEGMENT_HEADER_AREA);
            accounted.live += take(sums.live);
            accounted.history += take(sums.history);
            accounted.log += take(sums.log);
            accounted.dead += take(dead);
            if sealed {
                accounted.index += left;
            } else {
                accounted.slack += left;
            }
        }
        for entry in volume.list("").doing("listing the store")? {
            disk_bytes += entry.len_bytes;
            let part = match entry.name.as_str() {
                name if FILES.contains(&name) => &mut accounted.catalog,
                names::BALLAST => &mut accounted.reserve,
                _ => &mut accounted.other,
            };
            *part += entry.len_bytes;
        }
        Ok(Stat {
            lsn,
            atoms: totals.atoms,
            versions: totals.versions,
            payloads: totals.payloads,
            namespaces: namespaces as u64,
            vector_sets: totals.vector_sets,
            vector_parts: totals.vector_parts,
            segments: rows.iter().filter(|row| row.state != SegmentState::Deleted).count() as u64,
            raw_bytes: totals.raw_bytes,
            stored_bytes: totals.stored_bytes,
            tiers: [in_tier(&|tier| tier < Tier::Cold), in_tier(&|tier| tier == Tier::Cold)],
            hot,
            hot_resident_bytes,
            decode_cache: decode_cache(),
            disk_bytes,
            accounted,
        })
    }

    /// Whether any process, this one included, has a segment open.
    fn is_read(&self, segment: u64) -> Result<bool> {
        let lease = match self.inner.volume.open(&names::lease(segment), Open::Read) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            other => other.doing("opening a lease")?,
        };
        Ok(lease.probe_lock(LEASE_READER).doing("looking at a lease")?.is_some())
    }
}
