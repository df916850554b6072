//! Plans: statistics of payloads in, moves out. The same statistics give the same plan, and once it is carried out
//! they give an empty one.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Tier;

use super::policy::{TierPolicy, Wish};

/// Why a payload should move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MoveReason {
    /// Neither written nor used for as long as the policy keeps payloads warm.
    Unused,
    /// The warm tier may hold no more, and others were used later.
    Space,
    /// A rule names the tier.
    Rule,
    /// It was used lately.
    Used,
    /// It is pinned.
    Pinned,
}

impl fmt::Display for MoveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MoveReason::Unused => "unused",
            MoveReason::Space => "space",
            MoveReason::Rule => "rule",
            MoveReason::Used => "used lately",
            MoveReason::Pinned => "pinned",
        })
    }
}

/// One payload that should move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TierMove {
    /// Name of the namespace; empty for the default one.
    pub namespace: String,
    /// One of its names: of an atom, a vector set, an imported file.
    pub name: String,
    /// BLAKE3-256 of the payload, as 64 hexadecimal digits.
    #[serde(with = "digest_text")]
    pub digest: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// Bytes its present copy takes.
    pub stored_bytes: u64,
    /// Where it lies.
    #[serde(with = "tier_text")]
    pub from: Tier,
    /// Where it should lie.
    #[serde(with = "tier_text")]
    pub to: Tier,
    /// Why.
    pub reason: MoveReason,
    /// Key whose version it may be coded against when it goes to cold, where that makes it clearly smaller: a parent, or
    /// its own name for an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

/// Moves that a policy asks for; made by [`Store::plan`](crate::Store::plan), carried out by
/// [`Store::apply`](crate::Store::apply).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TierPlan {
    /// What moves to cold first, by name, so that there is room for what comes back.
    pub moves: Vec<TierMove>,
}

impl TierPlan {
    /// Payloads and raw bytes that go to a tier.
    pub fn totals(&self, to: Tier) -> (u64, u64) {
        let moves = self.moves.iter().filter(|planned| planned.to == to);
        moves.fold((0, 0), |(count, bytes), planned| (count + 1, bytes.saturating_add(planned.bytes)))
    }

    /// True when everything lies where it should.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// The plan as JSON: `{"moves": [{namespace, name, digest, bytes, stored_bytes, from, to, reason, base}]}`; `base` only
    /// where there is one.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::internal("a plan without a text").source_box(e.into()))
    }

    /// Reads a plan. Fails with `InvalidArgument` for anything that is none.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|e| Error::new(ErrorKind::InvalidArgument, "this is no plan of moves").source_box(e.into()))
    }
}

/// What is known of a payload.
#[derive(Clone, Debug)]
pub(crate) struct PayloadState {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) tier: Tier,
    /// What the policy wants for its names.
    pub(crate) wish: Wish,
    /// When it was last stored under a name, microseconds since the Unix epoch.
    pub(crate) written_us: u64,
    /// When it was last read, about; 0 for never.
    pub(crate) last_used_us: u64,
}

/// Which payloads should move at `now_us`. Pinned payloads never go to cold.
pub(crate) fn plan(policy: &TierPolicy, states: &[PayloadState], now_us: u64) -> TierPlan {
    let mut wanted: Vec<(Tier, MoveReason)> = states.iter().map(|state| desired(policy, state, now_us)).collect();
    if let Some(limit) = policy.warm_bytes_max {
        make_room(policy, states, limit, &mut wanted);
    }
    let there = states.iter().zip(wanted).filter(|(state, (to, _))| state.tier != *to);
    let mut moves: Vec<TierMove> = there
        .map(|(state, (to, reason))| TierMove {
            namespace: state.namespace.clone(),
            name: state.name.clone(),
            digest: state.digest,
            bytes: state.bytes,
            stored_bytes: state.stored_bytes,
            from: state.tier,
            to,
            reason,
            base: None,
        })
        .collect();
    fn order(planned: &TierMove) -> impl Ord + '_ {
        (Reverse(planned.to), &planned.namespace, &planned.name, planned.digest)
    }
    moves.sort_by(|a, b| order(a).cmp(&order(b)));
    TierPlan { moves }
}

/// Whether a payload stays where it is, whatever its age.
fn is_fixed(policy: &TierPolicy, state: &PayloadState) -> bool {
    state.bytes < policy.min_bytes
}

/// Where a payload should lie if there were space for all.
fn desired(policy: &TierPolicy, state: &PayloadState, now_us: u64) -> (Tier, MoveReason) {
    let last_us = state.written_us.max(state.last_used_us);
    let is_old = now_us.saturating_sub(last_us) >= state.wish.warm_us;
    let was_used = state.last_used_us > 0 && now_us.saturating_sub(state.last_used_us) < state.wish.hot_us;
    match state.wish.tier {
        _ if state.wish.is_pinned => (Tier::Warm, MoveReason::Pinned),
        _ if is_fixed(policy, state) => (state.tier, MoveReason::Rule),
        Some(tier) => (tier, MoveReason::Rule),
        None if was_used => (Tier::Warm, MoveReason::Used),
        None if is_old => (Tier::Cold, MoveReason::Unused),
        // Between the ages nothing moves: what was frozen by hand stays frozen until it is used.
        None => (state.tier, MoveReason::Used),
    }
}

/// Sends to cold what was used longest ago, until the rest fits.
fn make_room(policy: &TierPolicy, states: &[PayloadState], limit: u64, wanted: &mut [(Tier, MoveReason)]) {
    let mut left = limit;
    let mut movable = Vec::new();
    for (index, (state, (to, _))) in states.iter().zip(wanted.iter()).enumerate() {
        match to {
            Tier::Cold => {}
            _ if state.wish.is_pinned || is_fixed(policy, state) => left = left.saturating_sub(state.bytes),
            _ => movable.push(index),
        }
    }
    movable.sort_by_key(|&index| {
        let state = &states[index];
        (Reverse(state.written_us.max(state.last_used_us)), state.digest.0)
    });
    for index in movable {
        match left.checked_sub(states[index].bytes) {
            Some(rest) => left = rest,
            None => wanted[index] = (Tier::Cold, MoveReason::Space),
        }
    }
}

/// A digest as hexadecimal digits.
mod digest_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::digest::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(digest)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        Digest::from_hex(&text).ok_or_else(|| D::Error::custom("a digest has 64 hexadecimal digits"))
    }
}

/// A tier as its lower-case name.
mod tier_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::format::Tier;

    pub(super) fn serialize<S: Serializer>(tier: &Tier, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(tier.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tier, D::Error> {
        let name = String::deserialize(from)?;
        Tier::from_name(&name).ok_or_else(|| D::Error::custom(format!("'{name}' is no tier")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::KeyRef;

    const DAY: u64 = 86_400_000_000;
    const NOW: u64 = 1000 * DAY;

    fn state(policy: &TierPolicy, name: &str, tier: Tier, written_days: u64, used_days: Option<u64>) -> PayloadState {
        PayloadState {
            namespace: String::new(),
            name: name.to_owned(),
            digest: Digest::of(name.as_bytes()),
            bytes: 1 << 20,
            stored_bytes: 1 << 20,
            tier,
            wish: policy.wish("", KeyRef::Name(name)),
            written_us: NOW - written_days * DAY,
            last_used_us: used_days.map_or(0, |days| NOW - days * DAY),
        }
    }

    /// The plan for one payload, as `to (reason)`.
    fn check(policy: &str, name: &str, tier: Tier, written: u64, used: Option<u64>, expected: &str) {
        let policy = TierPolicy::from_json(policy).unwrap();
        let plan = plan(&policy, &[state(&policy, name, tier, written, used)], NOW);
        let found = plan.moves.first().map_or("stays".to_owned(), |m| format!("{} ({})", m.to.name(), m.reason));
        assert_eq!(found, expected, "{name} in {tier:?}, written {written} and used {used:?} days ago");
    }

    // Each line is a promise to an operator; a wrong one freezes what is in use, or keeps a disk full.
    #[test]
    fn ages_rules_and_pins_decide() {
        use Tier::{Cold, Warm};
        check("{}", "a", Warm, 89, None, "stays");
        check("{}", "a", Warm, 90, None, "cold (unused)");
        check("{}", "a", Warm, 400, Some(89), "stays");
        check("{}", "a", Warm, 400, Some(90), "cold (unused)");
        check("{}", "a", Cold, 400, Some(6), "warm (used lately)");
        check("{}", "a", Cold, 400, Some(7), "stays");
        check("{}", "a", Cold, 1, None, "stays");
        check(r#"{"min_bytes": 2000000}"#, "a", Warm, 400, None, "stays");
        check(r#"{"pins": [{"prefix": "a"}]}"#, "a", Warm, 400, None, "stays");
        check(r#"{"pins": [{"prefix": "a"}]}"#, "a", Cold, 400, None, "warm (pinned)");
        check(r#"{"rules": [{"prefix": "a", "tier": "cold"}]}"#, "a", Warm, 0, Some(0), "cold (rule)");
        check(r#"{"rules": [{"prefix": "a", "tier": "warm"}]}"#, "a", Cold, 400, None, "warm (rule)");
        check(r#"{"rules": [{"prefix": "a", "warm_days": 10}]}"#, "a", Warm, 10, None, "cold (unused)");
        check(r#"{"warm_bytes_max": 1000}"#, "a", Warm, 0, Some(0), "cold (space)");
    }

    // Without this order a full warm tier would lose what is read every minute and keep what nobody asks for.
    #[test]
    fn what_was_used_last_keeps_the_space() {
        let policy = TierPolicy::from_json(r#"{"warm_bytes_max": 2097152, "pins": [{"prefix": "pin"}]}"#).unwrap();
        let states = [
            state(&policy, "old", Tier::Warm, 80, None),
            state(&policy, "pin", Tier::Warm, 89, None),
            state(&policy, "used", Tier::Cold, 80, Some(1)),
        ];
        let plan = plan(&policy, &states, NOW);
        let moves: Vec<_> = plan.moves.iter().map(|m| (m.name.as_str(), m.to, m.reason)).collect();
        assert_eq!(moves, [("old", Tier::Cold, MoveReason::Space), ("used", Tier::Warm, MoveReason::Used)]);
        assert_eq!(plan.totals(Tier::Cold), (1, 1 << 20));
        assert_eq!(TierPlan::from_json(&plan.to_json().unwrap()).unwrap(), plan);
    }

    prop_compose! {
        fn any_state()(
            number in 0..40_u32, bytes in 0..20_000_u64, cold in any::<bool>(),
            written in 0..200_u64, used in prop::option::of(0..200_u64), rule in 0..4_u8, pinned in prop::bool::weighted(0.2),
        ) -> PayloadState {
            let policy = TierPolicy::default();
            let tier = if cold { Tier::Cold } else { Tier::Warm };
            let mut state = state(&policy, &format!("n{number}"), tier, written, used);
            state.wish.is_pinned = pinned;
            state.wish.tier = [None, None, Some(Tier::Warm), Some(Tier::Cold)][usize::from(rule)];
            PayloadState { bytes, ..state }
        }
    }

    proptest! {
        // A plan that undoes itself the next night moves the same gigabytes for ever; one that freezes a pinned payload makes
        // slow what somebody said must be fast.
        #[test]
        fn a_plan_spares_pins_and_once_carried_out_leaves_nothing_to_do(
            mut states in prop::collection::vec(any_state(), 0..60), limit in prop::option::of(0..200_000_u64),
        ) {
            let mut seen = std::collections::HashSet::new();
            states.retain(|state| seen.insert(state.digest.0));
            let policy = TierPolicy { warm_bytes_max: limit, ..TierPolicy::default() };
            let first = plan(&policy, &states, NOW);
            let mut reversed = states.clone();
            reversed.reverse();
            prop_assert_eq!(&first, &plan(&policy, &reversed, NOW));
            for planned in &first.moves {
                let state = states.iter().find(|state| state.digest == planned.digest).unwrap();
                prop_assert!(planned.to != Tier::Cold || !state.wish.is_pinned, "{:?}", planned);
            }
            for state in &mut states {
                if let Some(planned) = first.moves.iter().find(|planned| planned.digest == state.digest) {
                    state.tier = planned.to;
                }
            }
            prop_assert_eq!(plan(&policy, &states, NOW), TierPlan::default());
        }
    }
}
