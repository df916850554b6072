//! Moves of payloads between tiers: write the new copy, sync it, read it back and verify it, commit; only then does the
//! old copy give way. A move changes no version and may stop anywhere: what was not committed is done by the next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::catalog::{PayloadId, StoredRow, VersionRow};
use crate::codec::{self, Coding};
use crate::control::{Control, Progress};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Codec, RecordKind, Tier};
use crate::memory::zeroed;
use crate::segment::{Description, PayloadCopy, Recoded, Written};
use crate::tier::{TierCodec, TierPolicy};

use super::Store;
use super::commit::sync_appended;
use super::delta::{Bases, MoveOptions, Samples, choose_base};
use super::namespace::Namespace;
use super::policy::{hot_is_pinned, policy_in};
use super::staging::{Staged, StagedMove};

/// Raw bytes moved by one commit, unless a single payload has more.
const STEP_BYTES: u64 = 256 << 20;
/// Payloads moved by one commit.
const STEP_PAYLOADS: usize = 1024;

/// What a move did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MoveReport {
    /// Payloads that have a new copy now.
    pub payloads_moved: u64,
    /// Payloads that were in the tier already.
    pub payloads_there: u64,
    /// Length of the moved payloads as users see them.
    pub raw_bytes: u64,
    /// Bytes their old copies take.
    pub stored_bytes_before: u64,
    /// Bytes their new copies take.
    pub stored_bytes_after: u64,
    /// Of the moved payloads, those that are coded against another now.
    pub deltas: u64,
    /// Commits that were made.
    pub commits: u64,
}

impl MoveReport {
    /// Name and value of each count and sum, in a fixed order.
    pub fn facts(&self) -> [(&'static str, u64); 7] {
        [
            ("payloads_moved", self.payloads_moved),
            ("payloads_there", self.payloads_there),
            ("raw_bytes", self.raw_bytes),
            ("stored_bytes_before", self.stored_bytes_before),
            ("stored_bytes_after", self.stored_bytes_after),
            ("deltas", self.deltas),
            ("commits", self.commits),
        ]
    }
}

impl Store {
    /// Moves the payloads whose name starts with a prefix to a tier: [`Tier::Cold`] codes them, [`Tier::Warm`] decodes
    /// them. Names are those of atoms, past versions included, of vector sets and of imported files. An empty prefix means
    /// everything in the namespace, integers included. On the way to cold a payload may be coded against what it was made
    /// from, as [`TierPolicy::deltas`](crate::TierPolicy::deltas) says; see [`MoveOptions`]. One whose base only it still
    /// keeps is coded anew, without. Beyond deltas and the codec the policy is not asked; the next [`Store::apply`] of a plan
    /// may bring back what it pins.
    ///
    /// Every new copy is synced, read back and compared with the payload's digest before a commit, always durable, lets
    /// the old copy go. Cancelled or failed in the middle, what was committed stays and a second call goes on from
    /// there. Reads go on all the time; handles made before keep reading the old copy. Space of old copies is counted as
    /// garbage by [`Store::stat`]. Blocks while it reads, codes, writes and syncs; holds a few blocks of 4 MiB.
    ///
    /// Fails with `Unsupported` for [`Tier::Hot`], `Corrupt` when an old copy is damaged (it stays as it is), `Conflict`
    /// when another process moves the same payload, `ColdUnavailable` while the cold directory is away, `DiskFull`, `Io`,
    /// `ReadOnly`, `Cancelled`.
    pub fn move_to_tier(
        &self,
        namespace: Option<&Namespace>,
        prefix: &str,
        tier: Tier,
        control: &Control<'_>,
    ) -> Result<MoveReport> {
        self.move_to_tier_with(namespace, prefix, tier, &MoveOptions::new(), control)
    }

    /// As [`Store::move_to_tier`], with a say in how payloads are coded.
    pub fn move_to_tier_with(
        &self,
        namespace: Option<&Namespace>,
        prefix: &str,
        tier: Tier,
        options: &MoveOptions,
        control: &Control<'_>,
    ) -> Result<MoveReport> {
        let namespace = namespace.map_or(0, Namespace::id);
        self.move_inner(namespace, prefix, tier, options, control).map_err(|e| e.during("move"))
    }

    fn move_inner(
        &self,
        namespace: u32,
        prefix: &str,
        tier: Tier,
        options: &MoveOptions,
        control: &Control<'_>,
    ) -> Result<MoveReport> {
        self.inner.check_writable()?;
        if tier == Tier::Hot {
            return Err(hot_is_pinned());
        }
        let (policy, _) = self.how_to_code(namespace)?;
        let bases = Bases::new(options, prefix, policy.deltas);
        let mut report = MoveReport::default();
        let (candidates, anew) = self.candidates(namespace, prefix, tier, &mut report)?;
        let mut progress = Progress {
            bytes_total: candidates.iter().map(|version| version.raw_bytes).sum(),
            items_total: candidates.len() as u64,
            ..Progress::default()
        };
        let (anew, moved) = candidates.split_at(anew);
        for mut rest in [anew, moved] {
            while !rest.is_empty() {
                let (step, later) = rest.split_at(step_len(rest.iter().map(|version| version.raw_bytes)));
                let step: Vec<&VersionRow> = step.iter().collect();
                self.move_step((namespace, &step), (tier, bases), control, &mut progress, &mut report)?;
                rest = later;
            }
        }
        Ok(report)
    }

    /// Payloads that have yet to be moved, each once, described as versions. The first ones, whose number is returned as
    /// well, are there and only to be coded without their base: done before the rest, they can be bases of it.
    fn candidates(
        &self,
        namespace: u32,
        prefix: &str,
        tier: Tier,
        report: &mut MoveReport,
    ) -> Result<(Vec<VersionRow>, usize)> {
        let reader = self.inner.catalog.read()?;
        reader.consistently(|view| {
            let mut places: HashMap<PayloadId, (Digest, bool)> = HashMap::new();
            let mut anew: HashSet<Digest> = HashSet::new();
            view.payload_usage(|row| {
                if row.namespace == namespace {
                    let is_anew = row.tier == tier && row.keeps_its_base_alone;
                    anew.extend(is_anew.then_some(row.digest));
                    places.insert(row.payload, (row.digest, row.tier == tier && !is_anew));
                }
            })?;
            let mut wanted: HashSet<Digest> = HashSet::new();
            let mut there: Vec<Digest> = Vec::new();
            view.payload_names(|payload, key, _| {
                if key.starts_with(prefix)
                    && let Some((digest, is_there)) = places.remove(&payload)
                {
                    if is_there {
                        there.push(digest);
                    } else {
                        wanted.insert(digest);
                    }
                }
            })?;
            let may_be_elsewhere = tier == Tier::Cold && self.inner.segments.sites().has_cold();
            for digest in there {
                // Those made cold before the store had a cold directory go there now.
                match if may_be_elsewhere { view.payload(namespace, &digest)? } else { None } {
                    Some(stored) if !self.is_in(&stored, tier) => drop(wanted.insert(digest)),
                    _ => report.payloads_there += 1,
                }
            }
            let mut candidates = Vec::new();
            let take = |of: u32, digest: &Digest| of == namespace && wanted.remove(digest);
            view.descriptions(take, |_, version| candidates.push(version))?;
            candidates.sort_by_key(|version: &VersionRow| !anew.contains(&version.digest));
            let count = candidates.partition_point(|version| anew.contains(&version.digest));
            Ok((candidates, count))
        })
    }

    /// Whether a payload's copy is where a move to a tier would put it.
    fn is_in(&self, stored: &StoredRow, tier: Tier) -> bool {
        (stored.copy.tier, stored.copy.site) == (tier, self.inner.segments.sites().tier_for(tier))
    }

    /// One bounded step: new copies, one sync, all of them read back, one commit.
    pub(super) fn move_step(
        &self,
        (namespace, step): (u32, &[&VersionRow]),
        (to, bases): (Tier, Bases<'_>),
        control: &Control<'_>,
        progress: &mut Progress,
        report: &mut MoveReport,
    ) -> Result<()> {
        let inner = &self.inner;
        let mut staged = Staged::new(Arc::clone(&inner.segments));
        let mut done = MoveReport::default();
        let (policy, namespace_name) = if to == Tier::Cold { self.how_to_code(namespace)? } else { Default::default() };
        for version in step {
            control.check()?;
            let explain = |e: Error| e.key(&version.key);
            // Deleted meanwhile together with its payload, or moved by somebody else.
            let Some(stored) = self.to_move(namespace, &version.digest, to)? else { continue };
            let wanted = match to {
                Tier::Cold => policy.codec(&namespace_name, version.key.as_ref()),
                _ => TierCodec::Raw,
            };
            let moved =
                self.write_copy(&mut staged, version, &stored, (to, wanted, bases), control).map_err(explain)?;
            done.payloads_moved += 1;
            done.raw_bytes += version.raw_bytes;
            done.stored_bytes_before += stored.copy.stored_bytes;
            done.stored_bytes_after += moved.written.stored_bytes;
            done.deltas += u64::from(moved.base.is_some());
            staged.moves.push(moved);
            progress.items_done += 1;
            progress.bytes_done += version.raw_bytes;
            control.report(*progress);
        }
        if staged.moves.is_empty() {
            return Ok(());
        }
        self.commit_moves(staged, control)?;
        report.payloads_moved += done.payloads_moved;
        report.raw_bytes += done.raw_bytes;
        report.stored_bytes_before += done.stored_bytes_before;
        report.stored_bytes_after += done.stored_bytes_after;
        report.deltas += done.deltas;
        report.commits += 1;
        Ok(())
    }

    /// A payload that is not in the tier yet, or that should be coded there without its base.
    fn to_move(&self, namespace: u32, digest: &Digest, to: Tier) -> Result<Option<StoredRow>> {
        let reader = self.inner.catalog.read()?;
        let view = reader.view()?;
        match view.payload(namespace, digest)? {
            Some(stored) if !self.is_in(&stored, to) || view.keeps_its_base_alone(stored.payload)? => Ok(Some(stored)),
            _ => Ok(None),
        }
    }

    /// The policy, for how it codes, and the name of a namespace. One that cannot be read counts as the default: payloads
    /// move all the same.
    fn how_to_code(&self, namespace: u32) -> Result<(TierPolicy, String)> {
        let reader = self.inner.catalog.read()?;
        let view = reader.view()?;
        let policy = policy_in(view).or_else(|e| match e.kind() {
            ErrorKind::InvalidArgument => Ok(TierPolicy::default()),
            _ => Err(e),
        })?;
        let name = view.namespaces()?.into_iter().find(|(number, _)| *number == namespace);
        Ok((policy, name.map(|(_, name)| name).unwrap_or_default()))
    }

    /// Syncs copies that were written, reads all of them back, and commits that they take the place of the old ones.
    pub(super) fn commit_moves(&self, mut staged: Staged, control: &Control<'_>) -> Result<()> {
        let inner = &self.inner;
        sync_appended(inner, &mut staged)?;
        for moved in &staged.moves {
            self.read_back(moved, control)?;
        }
        // Durable whatever the handle says: the old copy is gone from the catalog when this returns.
        let lsn = inner.queue.submit(inner, staged, true)?;
        // Handles of this process go to the new copies from now on.
        inner.current_lsn()?;
        inner.cache.bump_all(lsn);
        Ok(())
    }

    fn write_copy(
        &self,
        staged: &mut Staged,
        version: &VersionRow,
        stored: &StoredRow,
        (tier, wanted, bases): (Tier, TierCodec, Bases<'_>),
        control: &Control<'_>,
    ) -> Result<StagedMove> {
        let source = self.inner.segments.open_copy(&stored.copy, &version.digest, version.raw_bytes)?;
        let description = Description {
            kind: RecordKind::Payload,
            namespace: stored.namespace,
            // Only those of versions are keys.
            key: (version.lsn_from > 0).then(|| version.key.clone()),
            dtype: version.dtype,
            shape: version.shape.clone(),
            encoding: version.encoding.clone(),
            created_us: version.created_us,
        };
        let (coding, base) = match tier {
            Tier::Cold => self.choose_form(staged, (stored.namespace, version), &source, (wanted, bases), control)?,
            _ => (Codec::Raw.into(), None),
        };
        let written = self.append_copy(staged, &source, description, (tier, coding), base.as_deref(), control)?;
        let from = (stored.copy.segment, stored.copy.offset);
        Ok(StagedMove { namespace: stored.namespace, from, written, codec: coding.codec, tier, base })
    }

    /// Writes a payload once more, for a tier and in the form of a codec, to a segment of the transaction.
    pub(super) fn append_copy(
        &self,
        staged: &mut Staged,
        source: &PayloadCopy,
        description: Description,
        (tier, coding): (Tier, Coding),
        base: Option<&PayloadCopy>,
        control: &Control<'_>,
    ) -> Result<Written> {
        let (raw_bytes, digest) = (source.record().raw_bytes, source.record().digest);
        let appender = staged.appender_for(&self.inner.catalog, tier, &description, raw_bytes)?;
        let read = |offset: u64, target: &mut [u8]| {
            control.check()?;
            source.read_into(offset, target)
        };
        let payload = Recoded { description, raw_bytes, digest, coding, base, read: &read };
        appender.append_recoded(payload, self.inner.segments.pool()?)
    }

    /// Writes a payload once more as it is stored, to a segment of the transaction.
    pub(super) fn append_same(
        &self,
        staged: &mut Staged,
        source: &PayloadCopy,
        tier: Tier,
        control: &Control<'_>,
    ) -> Result<Written> {
        let record = source.record();
        // As the record says: whoever uses the payload, an atom, a manifest or a part, it is described there.
        let description = &record.description;
        let appender = staged.appender_for(&self.inner.catalog, tier, description, record.raw_bytes)?;
        if record.chunk_bytes == appender.chunk_bytes() {
            return appender.append_same(source, &|| control.check());
        }
        let base = source.base().map(|base| &**base);
        self.append_copy(staged, source, description.clone(), (tier, record.codec.into()), base, control)
    }

    /// Reads a new copy through a way of its own, from the file, and compares it with the digest.
    fn read_back(&self, moved: &StagedMove, control: &Control<'_>) -> Result<()> {
        let written = &moved.written;
        let reader = self.inner.segments.reader(written.site, written.key())?;
        let copy = PayloadCopy::open(reader, written.offset, &written.digest, written.raw_bytes)?;
        let copy = match &moved.base {
            Some(base) => copy.on_base(Arc::clone(base))?,
            None => copy,
        };
        copy.verify_all(&|| control.check())?;
        Ok(())
    }

    /// The codec for a payload that goes to cold, and what it is coded against, tried on a few pieces of the size of a chunk.
    fn choose_form(
        &self,
        staged: &Staged,
        payload: (u32, &VersionRow),
        source: &PayloadCopy,
        (wanted, bases): (TierCodec, Bases<'_>),
        control: &Control<'_>,
    ) -> Result<(Coding, Option<Arc<PayloadCopy>>)> {
        let bases = if wanted == TierCodec::Auto { bases } else { bases.asked_for() };
        let coding = wanted.coding();
        if let Some(coding) = coding.filter(|_| bases.is_none()) {
            return Ok((coding, None));
        }
        let samples = take_samples(payload.1, source, control)?;
        let plain = match coding {
            Some(coding) => coding,
            None => codec::choose(payload.1.dtype, &samples.pieces)?.into(),
        };
        let base = choose_base(&self.inner, staged, payload, bases, (plain, &samples), control)?;
        Ok((if base.is_some() { Codec::Delta.into() } else { plain }, base))
    }
}

/// A few pieces of a payload, of the size of a chunk.
fn take_samples(version: &VersionRow, source: &PayloadCopy, control: &Control<'_>) -> Result<Samples> {
    let mut samples = Samples::default();
    for place in codec::SAMPLES {
        let from = (version.raw_bytes / 8).saturating_mul(place) / 64 * 64;
        let mut sample = zeroed(version.raw_bytes.saturating_sub(from).min(codec::SAMPLE_BYTES) as usize)?;
        control.check()?;
        source.read_into(from, &mut sample)?;
        samples.offsets.push(from);
        samples.pieces.push(sample);
        if version.raw_bytes <= codec::SAMPLE_BYTES {
            break; // that was all of it
        }
    }
    Ok(samples)
}

/// How many payloads of these lengths one step takes: at least one.
pub(super) fn step_len(lengths: impl Iterator<Item = u64>) -> usize {
    let mut bytes = 0_u64;
    let fitting = lengths.take(STEP_PAYLOADS).take_while(|raw_bytes| {
        bytes = bytes.saturating_add(*raw_bytes);
        bytes <= STEP_BYTES
    });
    fitting.count().max(1)
}
