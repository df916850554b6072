//! Which codec an operator wants for cold copies, as it is written in a policy.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{Coding, ZSTD_LEVEL, ZSTD_LEVELS};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Codec;

/// How cold copies are coded. In JSON and on the command line: `auto`, `raw`, `lz4`, `zstd`, `zstd:LEVEL`, `float`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TierCodec {
    /// What suits a few chunks of each payload best; the default.
    #[default]
    Auto,
    /// As they are: nothing to decode, nothing saved.
    Raw,
    /// LZ4: the fastest to decode of those that know repetitions.
    Lz4,
    /// Zstandard, with an effort of 1 to 19; 3 unless another is named.
    Zstd(u8),
    /// The float codec; of use for floats alone.
    Float,
}

impl TierCodec {
    /// The codec to use; `None` where it is to be found out.
    pub(crate) fn coding(self) -> Option<Coding> {
        match self {
            TierCodec::Auto => None,
            TierCodec::Raw => Some(Codec::Raw.into()),
            TierCodec::Lz4 => Some(Codec::Lz4.into()),
            TierCodec::Zstd(level) => Some(Coding { codec: Codec::Zstd, zstd_level: level.into() }),
            TierCodec::Float => Some(Codec::Float.into()),
        }
    }

    /// Fails with `InvalidArgument` for an effort that Zstandard does not have here.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            TierCodec::Zstd(level) if !ZSTD_LEVELS.contains(&level.into()) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "zstd with an effort of {level}; {} to {} are possible",
                    ZSTD_LEVELS.start(),
                    ZSTD_LEVELS.end()
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for TierCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TierCodec::Auto => f.write_str("auto"),
            TierCodec::Raw => f.write_str(Codec::Raw.name()),
            TierCodec::Lz4 => f.write_str(Codec::Lz4.name()),
            TierCodec::Zstd(level) if i32::from(*level) == ZSTD_LEVEL => f.write_str(Codec::Zstd.name()),
            TierCodec::Zstd(level) => write!(f, "{}:{level}", Codec::Zstd.name()),
            TierCodec::Float => f.write_str(Codec::Float.name()),
        }
    }
}

impl FromStr for TierCodec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named =
            [TierCodec::Auto, TierCodec::Raw, TierCodec::Lz4, TierCodec::Zstd(ZSTD_LEVEL as u8), TierCodec::Float];
        let level = || text.strip_prefix("zstd:")?.parse().ok().map(TierCodec::Zstd);
        let codec = named.into_iter().find(|codec| codec.to_string() == text).or_else(level).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("'{}' is no codec", text.escape_debug()))
                .hint("auto, raw, lz4, zstd, zstd:1 to zstd:19, float")
        })?;
        codec.check()?;
        Ok(codec)
    }
}

impl Serialize for TierCodec {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TierCodec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
