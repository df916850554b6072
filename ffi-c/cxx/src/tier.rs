//! Tiers, reclaiming, changes, repair and what else concerns a store as a whole, as C++ calls them.

use std::time::Duration;

use tensoratom::{Control, Error, GcOptions, MoveOptions, RepairOptions, Result, Tier, TierPin, TierPlan, TierPolicy};

use crate::bridge::ffi;
use crate::bridge::ffi::{Failure, Listener, Report};
use crate::store::{Scope, key_ref, owned_key, to_path};
use crate::wall::{Cancel, Failed, controlled, wall};

pub(crate) struct Changes(tensoratom::Changes);
pub(crate) struct Plan(TierPlan);

pub(crate) fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

impl Scope {
    fn namespace_name(&self) -> &str {
        self.namespace.as_ref().map_or("", |namespace| namespace.name())
    }

    pub(crate) fn changes(&self, since: u64, failure: &mut Failure) -> Result<Box<Changes>, Failed> {
        wall(failure, || Ok(Box::new(Changes(self.store.changes(self.namespace_name(), since)?))))
    }

    pub(crate) fn tier_policy(&self, failure: &mut Failure) -> Result<String, Failed> {
        wall(failure, || self.store.tier_policy()?.to_json())
    }

    pub(crate) fn set_tier_policy(&self, json: &str, failure: &mut Failure) -> Result<(), Failed> {
        wall(failure, || self.store.set_tier_policy(&TierPolicy::from_json(json)?))
    }

    fn tier_pin(&self, key: ffi::KeyRef<'_>, exact: bool) -> TierPin {
        match key_ref(key) {
            tensoratom::KeyRef::Name(prefix) if !exact => TierPin::prefix(self.namespace_name(), prefix),
            key => TierPin::key(self.namespace_name(), key),
        }
    }

    pub(crate) fn pin(&self, key: ffi::KeyRef<'_>, exact: bool, failure: &mut Failure) -> Result<bool, Failed> {
        wall(failure, || self.store.pin(&self.tier_pin(key, exact)))
    }

    pub(crate) fn unpin(&self, key: ffi::KeyRef<'_>, exact: bool, failure: &mut Failure) -> Result<bool, Failed> {
        wall(failure, || self.store.unpin(&self.tier_pin(key, exact)))
    }

    pub(crate) fn move_to_tier(
        &self,
        prefix: &str,
        tier: u8,
        options: &ffi::MoveOptions,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<Report, Failed> {
        wall(failure, || {
            let unknown = || Error::invalid_argument(format!("no tier has number {tier}"));
            let (tier, namespace) = (Tier::from_number(tier).ok_or_else(unknown)?, self.namespace.as_ref());
            let mut to = MoveOptions::new();
            if options.has_base {
                to = to.base(options.base.as_str());
            }
            if options.has_deltas {
                to = to.deltas(options.deltas);
            }
            let moved = controlled(listener, cancel, |control| {
                self.store.move_to_tier_with(namespace, prefix, tier, &to, &control)
            })?;
            Ok(report(moved.facts(), Vec::new(), None))
        })
    }

    pub(crate) fn gc(
        &self,
        options: &ffi::GcOptions,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<Report, Failed> {
        wall(failure, || {
            let mut gc = GcOptions::new().dead_share(options.dead_share).dry_run(options.dry_run);
            if !options.keeps_history {
                let no_age = |_| Error::invalid_argument(format!("{} s is no age", options.keep_seconds));
                gc = gc.keep_history(Duration::try_from_secs_f64(options.keep_seconds).map_err(no_age)?);
            }
            let done = controlled(listener, cancel, |control| self.store.gc(&gc, &control))?;
            Ok(report(done.facts(), done.findings, done.unavailable))
        })
    }

    pub(crate) fn maintain(
        &self,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<Report, Failed> {
        wall(failure, || {
            let done = controlled(listener, cancel, |control| self.store.maintain(&control))?;
            let facts = done.facts();
            Ok(report(facts, done.reclaimed.findings, done.reclaimed.unavailable))
        })
    }

    pub(crate) fn plan(
        &self,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<Box<Plan>, Failed> {
        let plan = |control: Control<'_>| self.store.plan_within(&control);
        wall(failure, || Ok(Box::new(Plan(controlled(listener, cancel, plan)?))))
    }

    pub(crate) fn apply(
        &self,
        plan: &Plan,
        listener: &Listener,
        cancel: &Cancel,
        failure: &mut Failure,
    ) -> Result<Report, Failed> {
        wall(failure, || {
            let applied = controlled(listener, cancel, |control| self.store.apply(&plan.0, &control))?;
            Ok(report(applied.facts(), Vec::new(), None))
        })
    }
}

impl Changes {
    pub(crate) fn next_changes(&mut self, count: usize, failure: &mut Failure) -> Result<Vec<ffi::ChangeRow>, Failed> {
        let row = |change: tensoratom::Change| ffi::ChangeRow {
            lsn: change.lsn,
            key: owned_key(&change.key),
            is_put: change.is_put,
        };
        wall(failure, || self.0.by_ref().take(count).map(|change| change.map(row)).collect())
    }
}

pub(crate) fn plan_of_json(json: &str, failure: &mut Failure) -> Result<Box<Plan>, Failed> {
    wall(failure, || Ok(Box::new(Plan(TierPlan::from_json(json)?))))
}

impl Plan {
    pub(crate) fn plan_to_json(&self, failure: &mut Failure) -> Result<String, Failed> {
        wall(failure, || self.0.to_json())
    }

    pub(crate) fn plan_moves(&self) -> Vec<ffi::PlannedMove> {
        let planned = |planned: &tensoratom::TierMove| ffi::PlannedMove {
            name_space: planned.namespace.clone(),
            name: planned.name.clone(),
            digest: planned.digest.to_string(),
            bytes: planned.bytes,
            stored_bytes: planned.stored_bytes,
            from: planned.from.name().to_owned(),
            to: planned.to.name().to_owned(),
            reason: planned.reason.to_string(),
            base: planned.base.clone().unwrap_or_default(),
        };
        self.0.moves.iter().map(planned).collect()
    }
}

pub(crate) fn repair(
    path: &[u8],
    rebuild_catalog: bool,
    without_cold: bool,
    listener: &Listener,
    cancel: &Cancel,
    failure: &mut Failure,
) -> Result<Report, Failed> {
    wall(failure, || {
        let (path, options) = (to_path(path)?, RepairOptions::new());
        let options = options.rebuild_catalog(rebuild_catalog).without_cold(without_cold);
        let done = controlled(listener, cancel, |control| tensoratom::repair(path, &options, &control))?;
        Ok(report(done.facts(), done.findings, None))
    })
}

pub(crate) fn decode_cache() -> Report {
    report(tensoratom::decode_cache().facts(), Vec::new(), None)
}

pub(crate) fn set_decode_cache_bytes(budget: u64) {
    tensoratom::set_decode_cache_bytes(budget);
}

pub(crate) fn set_cold_directory(
    path: &[u8],
    directory: &[u8],
    listener: &Listener,
    cancel: &Cancel,
    failure: &mut Failure,
) -> Result<Report, Failed> {
    wall(failure, || {
        let (path, directory) = (to_path(path)?, to_path(directory)?);
        let set = |control: Control<'_>| tensoratom::set_cold_directory(path, directory, &control);
        let done = controlled(listener, cancel, set)?;
        let facts = [("segments_copied", done.segments_copied), ("bytes_copied", done.bytes_copied)];
        Ok(report(facts, Vec::from_iter(done.left_behind), None))
    })
}

fn report(
    facts: impl IntoIterator<Item = (&'static str, u64)>,
    findings: Vec<String>,
    unavailable: Option<String>,
) -> Report {
    let facts = facts.into_iter().map(|(name, value)| ffi::Fact { name: name.to_owned(), value }).collect();
    Report { facts, findings, unavailable: unavailable.unwrap_or_default() }
}
