//! What the store holds, and what every byte of its directories is for.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::catalog::{FILES, SegmentRow, SegmentState, SegmentSums, TierSums};
use crate::control::Control;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::{LockHolder, Open};
use crate::format::{Codec, LEASE_READER, SEGMENT_HEADER_AREA, Tier, names};
use crate::segment::{DecodeCacheStat, Site, decode_cache, decoded};

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
    /// Of the cold ones, those that are coded against another payload.
    pub deltas: TierStat,
    /// Of the warm ones, those that are pinned.
    pub hot: TierStat,
    /// Bytes of pinned payloads that are in memory now, as the system counts pages.
    pub hot_resident_bytes: u64,
    /// The same payloads by the codec of that copy, and how fast this process decodes. Codecs that nothing used are left out.
    pub codecs: Vec<CodecStat>,
    /// Processes that keep segments from being deleted, this one included, the one with the most bytes first. Those of other
    /// users or containers may be missing, and on Windows all are; two that hold the same segment both count it.
    pub holders: Vec<Holder>,
    /// The decode cache of this process, which all its stores share.
    pub decode_cache: DecodeCacheStat,
    /// Where cold segments are, for a store with a cold directory.
    pub cold_directory: Option<ColdStat>,
    /// Lengths of all files in the directory, and in the cold directory while that is there.
    pub disk_bytes: u64,
    /// What those bytes are for. The parts sum to `disk_bytes`.
    pub accounted: Accounted,
}

/// The cold directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColdStat {
    /// Its path, absolute or relative to the store; empty when nothing says any more where it is.
    pub path: String,
    /// Lengths of all files in it; 0 while it is away.
    pub disk_bytes: u64,
    /// Why it cannot be used now; none when it can.
    pub problem: Option<String>,
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

    fn add(&mut self, sums: &TierSums) {
        self.payloads += sums.payloads;
        self.raw_bytes += sums.raw_bytes;
        self.stored_bytes += sums.stored_bytes;
    }
}

/// Payloads of a codec, and what this process decoded of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodecStat {
    /// The codec.
    pub codec: Codec,
    /// Payloads whose fastest copy has it.
    pub stored: TierStat,
    /// Raw bytes that this process decoded since it started, of all its stores.
    pub decoded_bytes: u64,
    /// Time that took, in nanoseconds, all threads together.
    pub decode_ns: u64,
}

impl CodecStat {
    /// Raw bytes per second that one thread of this process decodes, measured on what it decoded so far; `None` before it
    /// decoded anything, and for raw payloads.
    pub fn decode_bytes_per_s(&self) -> Option<f64> {
        (self.decode_ns > 0).then(|| self.decoded_bytes as f64 * 1e9 / self.decode_ns as f64)
    }
}

/// A process that reads segments which wait to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Number of the process.
    pub process: u32,
    /// Name of its program, as the system shortens it; `None` if the process ended meanwhile.
    pub program: Option<String>,
    /// Lengths of the segments it holds.
    pub bytes: u64,
}

impl Stat {
    /// All of it as a JSON object: [`Stat::facts`], and `accounted`, `codecs`, `holders`, `cold_directory`.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::internal("a stat without a text").source_box(e.into()))
    }

    /// Name and value of each count and sum, in a fixed order: all but those of `accounted` and of lists, and words.
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
            ("cold_disk_bytes", self.cold_directory.as_ref().map_or(0, |cold| cold.disk_bytes)),
            ("hot_payloads", self.hot.payloads),
            ("hot_raw_bytes", self.hot.raw_bytes),
            ("hot_resident_bytes", self.hot_resident_bytes),
            ("warm_payloads", warm.payloads),
            ("warm_raw_bytes", warm.raw_bytes),
            ("warm_stored_bytes", warm.stored_bytes),
            ("cold_payloads", cold.payloads),
            ("cold_raw_bytes", cold.raw_bytes),
            ("cold_stored_bytes", cold.stored_bytes),
            ("delta_payloads", self.deltas.payloads),
            ("delta_raw_bytes", self.deltas.raw_bytes),
            ("delta_stored_bytes", self.deltas.stored_bytes),
            ("decode_cache_budget_bytes", self.decode_cache.budget_bytes),
            ("decode_cache_bytes", self.decode_cache.bytes),
            ("decode_cache_hits", self.decode_cache.hits),
            ("decode_cache_misses", self.decode_cache.misses),
        ]
    }
}

macro_rules! accounted {
    ($($(#[$doc:meta])* $part:ident,)*) => {
        /// The bytes of a store's directory, and of its cold directory, by purpose.
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
    /// Records of payloads that nothing uses any more but cold payloads that are coded against them.
    bases,
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
    /// `store.json` and whatever else lies in the directories.
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
        self.stat_within(&Control::new())
    }

    /// As [`Store::stat`], ended by the flag or the deadline within 5 ms of reading the catalog, or between two segments.
    pub fn stat_within(&self, control: &Control<'_>) -> Result<Stat> {
        self.inner.check_usable()?;
        self.stat_inner(control).map_err(|e| e.during("stat"))
    }

    fn stat_inner(&self, control: &Control<'_>) -> Result<Stat> {
        let volume = &self.inner.volume;
        let reader = self.inner.catalog.read()?;
        let ((lsn, totals, rows, sums, namespaces), tiers) = reader.consistently_within(control, |view| {
            let sums =
                (view.head()?.lsn, view.totals()?, view.segments()?, view.segment_sums()?, view.namespaces()?.len());
            Ok((sums, view.tier_sums()?))
        })?;
        drop(reader);
        let sum = |wanted: &dyn Fn(&TierSums) -> bool| {
            let mut sum = TierStat::default();
            tiers.iter().filter(|sums| wanted(sums)).for_each(|sums| sum.add(sums));
            sum
        };
        let codecs = Codec::ALL.iter().map(|&codec| {
            let (decoded_bytes, decode_ns) = decoded(codec);
            CodecStat { codec, stored: sum(&|sums| sums.codec == codec), decoded_bytes, decode_ns }
        });
        let codecs = codecs.filter(|stat| stat.stored.payloads > 0 || stat.decoded_bytes > 0).collect();
        let mut holders: HashMap<u32, Holder> = HashMap::new();
        let (hot, hot_resident_bytes) = self.hot_stat()?;
        let mut accounted = Accounted::default();
        let by_id: HashMap<u64, &SegmentRow> = rows.iter().map(|row| (row.id, row)).collect();
        let sites = self.inner.segments.sites();
        let mut disk_bytes = self.account(&sites.warm(), &by_id, &sums, &mut accounted, &mut holders, control)?;
        let cold_directory = if sites.has_cold() {
            let path = sites.cold_path().map(|path| path.display().to_string()).unwrap_or_default();
            // Counted apart, so that a disk that goes away meanwhile leaves no half of it in the sums.
            let mut apart = accounted;
            let counted = sites
                .of(Tier::Cold)
                .and_then(|site| self.account(&site, &by_id, &sums, &mut apart, &mut holders, control));
            Some(match counted {
                Ok(disk_bytes) => {
                    accounted = apart;
                    ColdStat { path, disk_bytes, problem: None }
                }
                Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
                Err(e) => ColdStat { path, disk_bytes: 0, problem: Some(e.to_string()) },
            })
        } else {
            None
        };
        disk_bytes += cold_directory.as_ref().map_or(0, |cold| cold.disk_bytes);
        for entry in volume.list("").doing("listing the store")? {
            disk_bytes += entry.len_bytes;
            let part = match entry.name.as_str() {
                name if FILES.contains(&name) => &mut accounted.catalog,
                names::BALLAST => &mut accounted.reserve,
                _ => &mut accounted.other,
            };
            *part += entry.len_bytes;
        }
        let mut holders: Vec<Holder> = holders.into_values().collect();
        holders.sort_by_key(|holder| (Reverse(holder.bytes), holder.process));
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
            tiers: [sum(&|sums| sums.tier < Tier::Cold), sum(&|sums| sums.tier == Tier::Cold)],
            deltas: sum(&|sums| sums.codec == Codec::Delta),
            codecs,
            holders,
            hot,
            hot_resident_bytes,
            decode_cache: decode_cache(),
            cold_directory,
            disk_bytes,
            accounted,
        })
    }

    /// Adds the files of a directory of segments to the account. Returns their lengths.
    fn account(
        &self,
        site: &Site,
        rows: &HashMap<u64, &SegmentRow>,
        sums: &HashMap<u64, SegmentSums>,
        accounted: &mut Accounted,
        holders: &mut HashMap<u32, Holder>,
        control: &Control<'_>,
    ) -> Result<u64> {
        let mut disk_bytes = 0;
        for entry in site.list().map_err(|e| site.error("listing the segments", e))? {
            control.check()?;
            disk_bytes += entry.len_bytes;
            let Some(id) = names::parse_segment(&entry.name) else {
                accounted.other += entry.len_bytes;
                continue;
            };
            // One of that number may be elsewhere: then this file is not the segment.
            let row = rows.get(&id).copied();
            if row.is_some_and(|row| row.tier != site.tier()) {
                accounted.other += entry.len_bytes;
                continue;
            }
            if row.is_some_and(|row| matches!(row.state, SegmentState::Condemned | SegmentState::Deleted)) {
                let part = match self.readers(id)? {
                    Some(readers) => {
                        for LockHolder { process, program } in readers {
                            let holder = holders.entry(process).or_insert(Holder { process, program, bytes: 0 });
                            holder.bytes += entry.len_bytes;
                        }
                        &mut accounted.held
                    }
                    None => &mut accounted.condemned,
                };
                *part += entry.len_bytes;
                continue;
            }
            let sums = sums.get(&id).copied().unwrap_or_default();
            let used = row.map_or(SEGMENT_HEADER_AREA, |row| row.used_bytes);
            let dead = used.saturating_sub(SEGMENT_HEADER_AREA + sums.live + sums.history + sums.bases + sums.log);
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
            accounted.bases += take(sums.bases);
            accounted.log += take(sums.log);
            accounted.dead += take(dead);
            if sealed {
                accounted.index += left;
            } else {
                accounted.slack += left;
            }
        }
        Ok(disk_bytes)
    }

    /// The processes, this one included, that have a segment open, as far as the system shows them; `None` if there are none.
    fn readers(&self, segment: u64) -> Result<Option<Vec<LockHolder>>> {
        let lease = match self.inner.volume.open(&names::lease(segment), Open::Read) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.doing("opening a lease")?,
        };
        if lease.probe_lock(LEASE_READER).doing("looking at a lease")?.is_none() {
            return Ok(None);
        }
        // Who it is may be hidden; that somebody does is not.
        Ok(Some(lease.lock_holders(LEASE_READER).unwrap_or_default()))
    }
}
