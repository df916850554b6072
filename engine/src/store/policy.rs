//! The policy of a store's tiers: kept in its settings, turned into plans, carried out in bounded steps.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::catalog::{PayloadId, VersionRow, View};
use crate::control::{Control, Progress};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Tier;
use crate::key::KeyRef;
use crate::tier::{PayloadState, TierMove, TierPin, TierPlan, TierPolicy, Wish, plan};

use super::Store;
use super::delta::Bases;
use super::gc::{GcOptions, GcReport};
use super::tier::{MoveReport, step_len};

/// Name of the setting that holds the policy.
const SETTING: &str = "tier.policy";
/// How long maintenance waits to tell statistics of use, before it goes on with those the catalog has.
const TELLING_TIMEOUT: Duration = Duration::from_secs(5);

/// What carrying out a plan did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyReport {
    /// The moves that were made.
    pub moved: MoveReport,
    /// Moves of the plan that no longer make sense: the payload is gone, elsewhere, pinned, or moved by another process.
    pub skipped: u64,
    /// Payloads that could not be moved because their copies are damaged. They stay as they are.
    pub damaged: u64,
}

/// What maintenance did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaintainReport {
    /// Payloads whose statistics of use were written.
    pub payloads_told: u64,
    /// Moves that the policy asked for.
    pub planned: u64,
    /// What became of them.
    pub applied: ApplyReport,
    /// What was reclaimed of the space that moves left behind. Nothing while another process reclaims.
    pub reclaimed: GcReport,
}

impl ApplyReport {
    /// Name and value of each count and sum, in a fixed order.
    pub fn facts(&self) -> Vec<(&'static str, u64)> {
        let mut facts = self.moved.facts().to_vec();
        facts.extend([("skipped", self.skipped), ("damaged", self.damaged)]);
        facts
    }
}

impl MaintainReport {
    /// Name and value of each count and sum, in a fixed order.
    pub fn facts(&self) -> Vec<(&'static str, u64)> {
        let mut facts = vec![("payloads_told", self.payloads_told), ("planned", self.planned)];
        facts.extend(self.applied.facts());
        facts.extend(self.reclaimed.facts().into_iter().filter(|(name, _)| *name != "payloads_moved"));
        facts
    }
}

impl Store {
    /// The policy of the tiers; the default one if none was set. Fails with `InvalidArgument` when the one that was set is
    /// of a newer version of this library.
    pub fn tier_policy(&self) -> Result<TierPolicy> {
        self.inner.check_usable()?;
        let read = || policy_in(self.inner.catalog.read()?.view()?);
        read().map_err(|e| e.during("read the tier policy"))
    }

    /// Replaces the policy, pins included, for all processes. Moves nothing; see [`Store::maintain`]. Durable when it
    /// returns. A catalog rebuilt from segments has the default policy. Fails with `InvalidArgument` for impossible ages.
    pub fn set_tier_policy(&self, policy: &TierPolicy) -> Result<()> {
        self.change_policy(|old| *old = policy.clone()).map_err(|e| e.during("set the tier policy")).map(drop)
    }

    /// Pins names: their payloads are hot, which means that they stay warm whatever their age, are brought back from cold
    /// by the next [`Store::apply`] of a plan, and are read into memory when the store is opened, within
    /// [`Options::hot_bytes`](crate::Options::hot_bytes). Durable when it returns; false when they were pinned so already.
    pub fn pin(&self, pin: &TierPin) -> Result<bool> {
        let change = |policy: &mut TierPolicy| {
            if !policy.pins.contains(pin) {
                policy.pins.push(pin.clone());
                policy.pins.sort();
            }
        };
        self.change_policy(change).map_err(|e| e.during("pin"))
    }

    /// Takes back a pin that was set with the same words. False when there was none.
    pub fn unpin(&self, pin: &TierPin) -> Result<bool> {
        let change = |policy: &mut TierPolicy| policy.pins.retain(|pinned| pinned != pin);
        self.change_policy(change).map_err(|e| e.during("unpin"))
    }

    /// Which payloads should move now, by the policy, the statistics of use and the clock. Changes nothing. Reads the
    /// catalog twice through; holds about 250 bytes per payload.
    ///
    /// All payloads follow the policy: those of atoms, past versions included, of vector sets and of imported files'
    /// headers. A payload with several names follows the warmest of their wishes.
    pub fn plan(&self) -> Result<TierPlan> {
        self.plan_within(&Control::new())
    }

    /// As [`Store::plan`], ended by the flag or the deadline within 5 ms of reading the catalog.
    pub fn plan_within(&self, control: &Control<'_>) -> Result<TierPlan> {
        self.inner.check_usable()?;
        self.plan_inner(control).map_err(|e| e.during("plan"))
    }

    /// Carries a plan out, in steps of at most 1,024 payloads and about 256 MiB, each committed when its copies were
    /// synced, read back and verified; see [`Store::move_to_tier`]. Cancelled or failed in the middle, what was committed
    /// stays, and the rest of the plan can be applied again. What changed since the plan was made is skipped and counted.
    ///
    /// Fails with `DiskFull`, `Io`, `ReadOnly`, `Cancelled`. Blocks while it reads, codes, writes and syncs.
    pub fn apply(&self, plan: &TierPlan, control: &Control<'_>) -> Result<ApplyReport> {
        self.apply_inner(plan, control).map_err(|e| e.during("apply"))
    }

    /// What a background thread or a nightly job calls: tells statistics of use, plans, applies the plan, and reclaims the
    /// space of what was moved away ([`Store::gc`], all history kept).
    pub fn maintain(&self, control: &Control<'_>) -> Result<MaintainReport> {
        self.inner.check_writable().map_err(|e| e.during("maintain"))?;
        let payloads_told = match self.inner.tell_usage(TELLING_TIMEOUT) {
            Ok(told) => told,
            // They stay in memory, and a plan without the last minutes is no worse than one made minutes ago.
            Err(e) if e.kind() == ErrorKind::Busy => 0,
            Err(e) => return Err(e.during("maintain")),
        };
        let plan = self.plan_within(control)?;
        let applied = self.apply(&plan, control)?;
        let reclaimed = match self.gc(&GcOptions::new(), control) {
            // Another process does it.
            Err(e) if e.kind() == ErrorKind::Busy => GcReport::default(),
            reclaimed => reclaimed?,
        };
        Ok(MaintainReport { payloads_told, planned: plan.moves.len() as u64, applied, reclaimed })
    }

    /// Changes the policy under the catalog's write lock. Returns whether it differs.
    fn change_policy(&self, change: impl FnOnce(&mut TierPolicy)) -> Result<bool> {
        let inner = &self.inner;
        inner.check_writable()?;
        let transaction = inner.catalog.begin(true, inner.lock_timeout)?;
        let old = match policy_in(transaction.view()?) {
            // One that says nothing to this version of the library is replaced, not patched.
            Err(e) if e.kind() == ErrorKind::InvalidArgument => None,
            old => Some(old?),
        };
        let mut policy = old.clone().unwrap_or_default();
        change(&mut policy);
        policy.check()?;
        if old.is_some_and(|old| old == policy) {
            return Ok(false);
        }
        transaction.set_setting(SETTING, &policy.to_json()?)?;
        transaction.commit()?;
        inner.current_lsn()?;
        Ok(true)
    }

    fn plan_inner(&self, control: &Control<'_>) -> Result<TierPlan> {
        let (policy, states) = self.survey(control)?;
        let now_us = u64::try_from(self.inner.segments.now_us()).unwrap_or(0);
        let mut plan = plan(&policy, &states, now_us);
        self.name_bases(&policy, &mut plan)?;
        Ok(plan)
    }

    /// Says of what goes to cold what it may be coded against there.
    fn name_bases(&self, policy: &TierPolicy, plan: &mut TierPlan) -> Result<()> {
        let bases = Bases::by_policy(policy.deltas);
        let reader = self.inner.catalog.read()?;
        reader.consistently(|view| {
            let numbers: HashMap<String, u32> = view.namespaces()?.into_iter().map(|(id, name)| (name, id)).collect();
            let mut to_cold: HashMap<(u32, Digest), &mut TierMove> = HashMap::new();
            for one in plan.moves.iter_mut().filter(|one| policy.deltas && one.to == Tier::Cold) {
                to_cold.extend(numbers.get(&one.namespace).map(|&number| ((number, one.digest), one)));
            }
            if to_cold.is_empty() {
                return Ok(());
            }
            let mut versions: Vec<(u32, VersionRow)> = Vec::new();
            let mut seen: HashSet<(u32, Digest)> = HashSet::new();
            view.descriptions(
                |namespace, digest| to_cold.contains_key(&(namespace, *digest)) && seen.insert((namespace, *digest)),
                |namespace, version| versions.push((namespace, version)),
            )?;
            for (namespace, version) in versions {
                let found = bases.candidates(view, namespace, &version)?;
                if let (Some(base), Some(one)) = (found.first(), to_cold.get_mut(&(namespace, version.digest)))
                    && !view.is_base(version.payload)?
                {
                    one.base = Some(base.key.to_string());
                }
            }
            Ok(())
        })
    }

    /// The policy, and what is known of every payload.
    fn survey(&self, control: &Control<'_>) -> Result<(TierPolicy, Vec<PayloadState>)> {
        let reader = self.inner.catalog.read()?;
        reader.consistently_within(control, |view| {
            let policy = policy_in(view)?;
            let states = survey(view, &policy)?;
            Ok((policy, states))
        })
    }

    fn apply_inner(&self, plan: &TierPlan, control: &Control<'_>) -> Result<ApplyReport> {
        self.inner.check_writable()?;
        let mut report = ApplyReport::default();
        let mut progress = Progress {
            bytes_total: plan.moves.iter().map(|planned| planned.bytes).fold(0, u64::saturating_add),
            items_total: plan.moves.len() as u64,
            ..Progress::default()
        };
        let candidates = self.still_sensible(plan)?;
        let bases = Bases::by_policy(policy_in(self.inner.catalog.read()?.view()?)?.deltas);
        report.skipped = (plan.moves.len() as u64).saturating_sub(candidates.len() as u64);
        let mut rest = &candidates[..];
        while let Some(first) = rest.first() {
            // A step goes from one namespace to one tier.
            let alike = rest.iter().take_while(|one| (one.namespace, one.to) == (first.namespace, first.to)).count();
            let (step, later) = rest.split_at(step_len(rest[..alike].iter().map(|one| one.version.raw_bytes)));
            self.apply_step(step, bases, control, &mut progress, &mut report)?;
            rest = later;
        }
        Ok(report)
    }

    /// One step; where one of its payloads is in the way of the others, each by itself.
    fn apply_step(
        &self,
        step: &[Candidate],
        bases: Bases<'_>,
        control: &Control<'_>,
        progress: &mut Progress,
        report: &mut ApplyReport,
    ) -> Result<()> {
        let Some(first) = step.first() else { return Ok(()) };
        let versions: Vec<&VersionRow> = step.iter().map(|one| &one.version).collect();
        let (before, moved_before) = (*progress, report.moved.payloads_moved);
        let moved =
            self.move_step((first.namespace, &versions), (first.to, bases), control, progress, &mut report.moved);
        match moved {
            Ok(()) => {
                let moved = report.moved.payloads_moved - moved_before;
                report.skipped += (step.len() as u64).saturating_sub(moved);
                Ok(())
            }
            Err(e) if matches!(e.kind(), ErrorKind::Conflict | ErrorKind::Corrupt) => {
                *progress = before;
                if step.len() > 1 {
                    return step.chunks(1).try_for_each(|one| self.apply_step(one, bases, control, progress, report));
                }
                let counter = if e.kind() == ErrorKind::Corrupt { &mut report.damaged } else { &mut report.skipped };
                *counter += 1;
                tracing::warn!(error = %e, "a payload stays where it is");
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// The moves of a plan that still make sense, in its order, with what is needed to make them.
    fn still_sensible(&self, plan: &TierPlan) -> Result<Vec<Candidate>> {
        let reader = self.inner.catalog.read()?;
        reader.consistently(|view| {
            let policy = policy_in(view)?;
            let planned: HashMap<(&str, Digest), &TierMove> =
                plan.moves.iter().map(|one| ((one.namespace.as_str(), one.digest), one)).collect();
            let numbers: HashMap<String, u32> = view.namespaces()?.into_iter().map(|(id, name)| (name, id)).collect();
            let mut sensible: HashSet<(u32, Digest)> = HashSet::new();
            for state in survey(view, &policy)? {
                let one = planned.get(&(state.namespace.as_str(), state.digest));
                let Some(one) = one.filter(|one| one.from == state.tier) else { continue };
                let allowed = one.to == Tier::Warm || (one.to == Tier::Cold && !state.wish.is_pinned);
                if allowed && let Some(&number) = numbers.get(&state.namespace) {
                    sensible.insert((number, state.digest));
                }
            }
            let mut versions: HashMap<(u32, Digest), VersionRow> = HashMap::new();
            view.descriptions(
                |namespace, digest| sensible.remove(&(namespace, *digest)),
                |namespace, version| drop(versions.insert((namespace, version.digest), version)),
            )?;
            let candidate = |one: &TierMove| {
                let namespace = *numbers.get(&one.namespace)?;
                Some(Candidate { namespace, to: one.to, version: versions.remove(&(namespace, one.digest))? })
            };
            Ok(plan.moves.iter().filter_map(candidate).collect())
        })
    }
}

/// A move about to be made.
struct Candidate {
    namespace: u32,
    to: Tier,
    version: VersionRow,
}

/// The pins of a store with the numbers of their namespaces, as this process knows them.
#[derive(Debug, Default)]
pub(super) struct KnownPins {
    text: Option<String>,
    /// Whether a pin names a namespace, which may yet be made, or be taken back.
    depends_on_names: bool,
    pins: Vec<(u32, TierPin)>,
}

impl KnownPins {
    /// Reads them. A policy that cannot be read pins nothing.
    pub(super) fn read(view: View<'_>) -> Result<Self> {
        let text = view.setting(SETTING)?;
        let policy = text.as_deref().map(TierPolicy::from_json).transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, "the tier policy cannot be read");
            None
        });
        let wanted = policy.map(|policy| policy.pins).unwrap_or_default();
        let depends_on_names = wanted.iter().any(|pin| !pin.namespace.is_empty());
        let numbers = if wanted.is_empty() { Vec::new() } else { view.namespaces()? };
        let number = |pin: &TierPin| numbers.iter().find(|(_, name)| *name == pin.namespace).map(|(id, _)| *id);
        let pins = wanted.into_iter().filter_map(|pin| Some((number(&pin)?, pin))).collect();
        Ok(KnownPins { text, depends_on_names, pins })
    }

    /// Whether they may differ from what is in the catalog now.
    pub(super) fn is_out_of_date(&self, view: View<'_>) -> Result<bool> {
        Ok(self.depends_on_names || view.setting(SETTING)? != self.text)
    }

    /// The pins with the numbers of their namespaces.
    pub(super) fn list(&self) -> Vec<(u32, TierPin)> {
        self.pins.clone()
    }

    pub(super) fn is_same(&self, other: &KnownPins) -> bool {
        self.pins == other.pins
    }

    /// The tier as callers see it: what is pinned and lies in the warm tier is hot.
    pub(super) fn tier(&self, namespace: u32, key: KeyRef<'_>, tier: Tier) -> Tier {
        let fits = |(number, pin): &(u32, TierPin)| *number == namespace && pin.fits(&pin.namespace, key);
        if tier == Tier::Warm && self.pins.iter().any(fits) { Tier::Hot } else { tier }
    }
}

pub(super) fn policy_in(view: View<'_>) -> Result<TierPolicy> {
    view.setting(SETTING)?.map_or_else(|| Ok(TierPolicy::default()), |text| TierPolicy::from_json(&text))
}

/// What is known of every payload that is used and has a copy.
fn survey(view: View<'_>, policy: &TierPolicy) -> Result<Vec<PayloadState>> {
    let namespaces: HashMap<u32, String> = view.namespaces()?.into_iter().collect();
    let mut numbers: Vec<(PayloadId, u32)> = Vec::new();
    let mut states: Vec<PayloadState> = Vec::new();
    view.payload_usage(|row| {
        numbers.push((row.payload, row.namespace));
        states.push(PayloadState {
            namespace: namespaces.get(&row.namespace).cloned().unwrap_or_default(),
            name: String::new(),
            digest: row.digest,
            bytes: row.raw_bytes,
            stored_bytes: row.stored_bytes,
            tier: if row.tier == Tier::Hot { Tier::Warm } else { row.tier },
            wish: Wish { is_pinned: false, tier: None, hot_us: 0, warm_us: 0 },
            written_us: row.written_us,
            last_used_us: row.last_used_us,
        });
    })?;
    let mut has_name = vec![false; states.len()];
    view.payload_names(|payload, key, created_us| {
        let Ok(index) = numbers.binary_search_by_key(&payload, |(id, _)| *id) else { return };
        let state = &mut states[index];
        let wish = policy.wish(&state.namespace, key);
        state.written_us = state.written_us.max(created_us);
        if std::mem::replace(&mut has_name[index], true) {
            state.wish = state.wish.and(wish);
        } else {
            state.wish = wish;
            state.name = key.to_string();
        }
    })?;
    Ok(states)
}

/// An error for whoever wants to move something to the hot tier.
pub(super) fn hot_is_pinned() -> Error {
    Error::new(ErrorKind::Unsupported, "payloads cannot be moved to the hot tier").hint("pin what shall be hot")
}
