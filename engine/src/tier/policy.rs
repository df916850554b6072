//! What an operator wants of the tiers: ages, sizes, exceptions by prefix, pins; and what follows for one name.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::format::Tier;
use crate::key::KeyRef;

use super::coding::TierCodec;

/// Microseconds of a day.
const DAY_US: f64 = 86_400e6;
/// Rules and pins in a policy, at most: every name is compared with all of them.
const ENTRIES_MAX: usize = 10_000;

/// When payloads go to the cold tier and come back, stored in the store as JSON. Members that are left out have their
/// defaults; unknown ones are refused.
///
/// ```
/// use tensoratom::TierPolicy;
/// let policy = TierPolicy::from_json(
///     r#"{"warm_days": 30, "rules": [{"prefix": "archive/", "tier": "cold"}], "pins": [{"prefix": "bert/"}]}"#,
/// )?;
/// assert_eq!((policy.hot_days, policy.warm_days), (7.0, 30.0));
/// # Ok::<(), tensoratom::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TierPolicy {
    /// A cold payload that was used in the last so many days is brought back. Default 7.
    pub hot_days: f64,
    /// A payload neither written nor used for so many days goes to cold. Default 90.
    pub warm_days: f64,
    /// Payloads with fewer bytes stay where they are: there is nothing to gain. Default 4,096.
    pub min_bytes: u64,
    /// Raw bytes that may be warm; beyond them what was used longest ago goes to cold, whatever its age. Default: no
    /// limit. Pinned payloads stay and count.
    pub warm_bytes_max: Option<u64>,
    /// Whether what goes to cold may be coded against what it was made from, the parents of its version or the version
    /// before it, where those have the same type and shape and it gets smaller by a tenth or more. Only where the codec is
    /// [`TierCodec::Auto`]: a codec that is named is used. Default true.
    pub deltas: bool,
    /// How cold copies made from now on are coded. Those there are stay as they are. Default: [`TierCodec::Auto`].
    pub codec: TierCodec,
    /// Other ages or another codec for names of a prefix, or a tier whatever the age. Of several prefixes that fit the longest
    /// counts.
    pub rules: Vec<TierRule>,
    /// What stays warm, and is prefetched when the store is opened.
    pub pins: Vec<TierPin>,
}

/// An exception for names that start with a prefix: of atoms, vector sets, imported files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TierRule {
    /// Name of the namespace; the default one when empty.
    pub namespace: String,
    /// Start of the names; everything in the namespace, integers included, when empty.
    pub prefix: String,
    /// Instead of [`TierPolicy::hot_days`].
    pub hot_days: Option<f64>,
    /// Instead of [`TierPolicy::warm_days`].
    pub warm_days: Option<f64>,
    /// `warm` or `cold`, whatever the age.
    #[serde(with = "tier_name")]
    pub tier: Option<Tier>,
    /// Instead of the codec of the policy.
    pub codec: Option<TierCodec>,
}

/// What stays warm.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TierPin {
    /// Name of the namespace; the default one when empty.
    pub namespace: String,
    /// Start of the names; everything in the namespace, integers included, when empty.
    pub prefix: String,
    /// Only this very name.
    pub exact: bool,
    /// This integer key and nothing else; prefix and `exact` say nothing then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integer: Option<i64>,
}

impl Default for TierPolicy {
    fn default() -> Self {
        TierPolicy {
            hot_days: 7.0,
            warm_days: 90.0,
            min_bytes: 4096,
            warm_bytes_max: None,
            deltas: true,
            codec: TierCodec::Auto,
            rules: Vec::new(),
            pins: Vec::new(),
        }
    }
}

impl TierPin {
    /// Pins the names that start with a prefix; an empty namespace is the default one.
    pub fn prefix(namespace: impl Into<String>, prefix: impl Into<String>) -> Self {
        TierPin { namespace: namespace.into(), prefix: prefix.into(), ..Self::default() }
    }

    /// Pins one key, a name or an integer.
    pub fn key<'a>(namespace: impl Into<String>, key: impl Into<KeyRef<'a>>) -> Self {
        let namespace = namespace.into();
        match key.into() {
            KeyRef::Int(number) => TierPin { namespace, integer: Some(number), ..Self::default() },
            KeyRef::Name(name) => TierPin { namespace, prefix: name.to_owned(), exact: true, integer: None },
        }
    }

    /// Whether it means one key at most.
    pub(crate) fn is_one(&self) -> bool {
        self.exact || self.integer.is_some()
    }

    /// Whether a key of this namespace is meant.
    pub(crate) fn fits(&self, namespace: &str, key: KeyRef<'_>) -> bool {
        if let Some(number) = self.integer {
            return namespace == self.namespace && key == KeyRef::Int(number);
        }
        let same = !self.exact || matches!(key, KeyRef::Name(name) if name == self.prefix);
        same && starts_with(namespace, key, &self.namespace, &self.prefix)
    }
}

impl TierPolicy {
    /// Reads a policy. Fails with `InvalidArgument` for anything that is none.
    pub fn from_json(text: &str) -> Result<Self> {
        let policy: TierPolicy = serde_json::from_str(text).map_err(|e| {
            Error::new(ErrorKind::InvalidArgument, "this is no tier policy")
                .source_box(e.into())
                .hint("read the store's own policy to have one to start from")
        })?;
        policy.check()?;
        Ok(policy)
    }

    /// The policy as JSON with all its members.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| Error::internal("a policy without a text").source_box(e.into()))
    }

    /// Fails with `InvalidArgument` for ages that are none, and for rules and pins without number.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::InvalidArgument, what));
        let ages = self.rules.iter().flat_map(|rule| [rule.hot_days, rule.warm_days]).flatten();
        for age in [self.hot_days, self.warm_days].into_iter().chain(ages) {
            if !(0.0..=1e6).contains(&age) {
                return wrong(format!("an age of {age} days; 0 to 1,000,000 are possible"));
            }
        }
        let codecs = self.rules.iter().filter_map(|rule| rule.codec);
        std::iter::once(self.codec).chain(codecs).try_for_each(TierCodec::check)?;
        if self.rules.iter().any(|rule| rule.tier == Some(Tier::Hot)) {
            return wrong("a rule names the tier hot; pin what shall be hot".to_owned());
        }
        if self.rules.len() + self.pins.len() > ENTRIES_MAX {
            return wrong(format!("more than {ENTRIES_MAX} rules and pins"));
        }
        Ok(())
    }

    /// Whether a name is pinned.
    pub(crate) fn is_pinned(&self, namespace: &str, key: KeyRef<'_>) -> bool {
        self.pins.iter().any(|pin| pin.fits(namespace, key))
    }

    /// How a cold copy of a payload of this name is to be coded.
    pub(crate) fn codec(&self, namespace: &str, key: KeyRef<'_>) -> TierCodec {
        self.rule(namespace, key).and_then(|rule| rule.codec).unwrap_or(self.codec)
    }

    /// The rule of the longest prefix that fits; of equals the first.
    fn rule(&self, namespace: &str, key: KeyRef<'_>) -> Option<&TierRule> {
        let fitting = self.rules.iter().filter(|rule| starts_with(namespace, key, &rule.namespace, &rule.prefix));
        fitting.rev().max_by_key(|rule| rule.prefix.len())
    }

    /// What the policy wants for a payload of this name.
    pub(crate) fn wish(&self, namespace: &str, key: KeyRef<'_>) -> Wish {
        let rule = self.rule(namespace, key);
        let us = |days: f64| (days * DAY_US) as u64;
        Wish {
            is_pinned: self.is_pinned(namespace, key),
            tier: rule.and_then(|rule| rule.tier),
            hot_us: us(rule.and_then(|rule| rule.hot_days).unwrap_or(self.hot_days)),
            warm_us: us(rule.and_then(|rule| rule.warm_days).unwrap_or(self.warm_days)),
        }
    }
}

/// What a policy wants for one payload, before its age is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) is_pinned: bool,
    pub(crate) tier: Option<Tier>,
    pub(crate) hot_us: u64,
    pub(crate) warm_us: u64,
}

impl Wish {
    /// For a payload with both names: the warmer wish counts.
    pub(crate) fn and(self, other: Wish) -> Wish {
        let tier = match (self.tier, other.tier) {
            (Some(Tier::Cold), Some(Tier::Cold)) => Some(Tier::Cold),
            (Some(Tier::Warm), _) | (_, Some(Tier::Warm)) => Some(Tier::Warm),
            _ => None,
        };
        Wish {
            is_pinned: self.is_pinned || other.is_pinned,
            tier,
            hot_us: self.hot_us.max(other.hot_us),
            warm_us: self.warm_us.max(other.warm_us),
        }
    }
}

/// Whether a key is in a namespace and starts with a prefix; the empty prefix fits integers as well.
fn starts_with(namespace: &str, key: KeyRef<'_>, of: &str, prefix: &str) -> bool {
    namespace == of && key.starts_with(prefix)
}

/// A tier as its lower-case name, or null.
mod tier_name {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::format::Tier;

    pub(super) fn serialize<S: Serializer>(tier: &Option<Tier>, to: S) -> Result<S::Ok, S::Error> {
        tier.map(Tier::name).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Tier>, D::Error> {
        let name = Option::<String>::deserialize(from)?;
        let tier = |name: String| {
            Tier::from_name(&name).ok_or_else(|| D::Error::custom(format!("'{name}' is no tier: warm or cold")))
        };
        name.map(tier).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> TierPolicy {
        TierPolicy::from_json(text).unwrap()
    }

    // A misspelt member that is ignored leaves an operator with another policy than the one they wrote.
    #[test]
    fn nonsense_is_refused_and_what_is_left_out_has_its_default() {
        assert_eq!(policy("{}"), TierPolicy::default());
        for wrong in [
            r#"{"warm_day": 3}"#,
            r#"{"warm_days": -1}"#,
            r#"{"rules": [{"prefix": "a", "tier": "hot"}]}"#,
            r#"{"rules": [{"prefix": "a", "tier": "lukewarm"}]}"#,
            r#"{"rules": [{"prefix": "a", "hot_days": 1e300}]}"#,
            r#"{"codec": "gzip"}"#,
            r#"{"codec": null}"#,
            r#"{"codec": "zstd:0"}"#,
            r#"{"rules": [{"prefix": "a", "codec": "zstd:20"}]}"#,
            r#"{"rules": [{"prefix": "a", "codec": "float:3"}]}"#,
            "3",
        ] {
            assert_eq!(TierPolicy::from_json(wrong).unwrap_err().kind(), ErrorKind::InvalidArgument, "{wrong}");
        }
        let full = policy(
            r#"{"rules": [{"prefix": "a/", "tier": "cold", "codec": "zstd:9"}, {"prefix": "b/", "codec": "auto"}],
                "codec": "zstd:3", "pins": [{"prefix": "b", "exact": true}]}"#,
        );
        assert_eq!((full.codec, full.codec.to_string().as_str()), (TierCodec::Zstd(3), "zstd"));
        assert_eq!(policy(&full.to_json().unwrap()), full);
    }

    // A rule for everything that beat the one for a model would freeze what somebody took care to except.
    #[test]
    fn the_longest_prefix_counts_and_a_payload_of_two_names_follows_the_warmer() {
        let policy = policy(
            r#"{"rules": [{"prefix": "", "tier": "cold"}, {"prefix": "m/", "warm_days": 1, "codec": "raw"},
                {"prefix": "m/keep/", "tier": "warm"}, {"namespace": "other", "prefix": "x", "tier": "warm"}],
                "pins": [{"prefix": "m/a", "exact": true}, {"prefix": "p/"}, {"namespace": "n", "integer": -7}], "codec": "lz4"}"#,
        );
        let wish = |name: &str| policy.wish("", KeyRef::Name(name));
        assert_eq!((wish("x").tier, wish("m/1").tier), (Some(Tier::Cold), None));
        assert_eq!((wish("m/1").warm_us, wish("m/keep/1").tier), (86_400_000_000, Some(Tier::Warm)));
        assert_eq!(policy.wish("", KeyRef::Int(7)).tier, Some(Tier::Cold));
        assert_eq!(policy.wish("other", KeyRef::Name("x1")).tier, Some(Tier::Warm));
        assert_eq!([wish("m/a").is_pinned, wish("m/ab").is_pinned, wish("p/q").is_pinned], [true, false, true]);
        assert_eq!(
            [policy.codec("", KeyRef::Name("m/1")), policy.codec("", KeyRef::Int(1))],
            [TierCodec::Raw, TierCodec::Lz4]
        );
        let pinned = |namespace: &str, number: i64| policy.wish(namespace, KeyRef::Int(number)).is_pinned;
        assert_eq!([pinned("n", -7), pinned("n", 7), pinned("", -7)], [true, false, false]);
        assert_eq!(policy.pins[2], TierPin::key("n", -7));
        assert_eq!(wish("x").and(wish("m/keep/1")).tier, Some(Tier::Warm));
        assert_eq!(wish("x").and(wish("m/1")).tier, None);
        assert!(wish("x").and(wish("p/1")).is_pinned);
    }
}
