//! What an aggregate computes, its parameters, and how both are written as text.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// Points kept where nothing else is said.
pub const POINTS_DEFAULT: u32 = 4096;

const POINTS_MAX: u32 = 1 << 20;

/// A kind of aggregate with its parameters. As text it is a name and `key=value` pairs, as in `k_means k=8 seed=7`;
/// parameters left out have the defaults told here, and `k` has none.
///
/// `geometric_median` and `k_means` keep up to `points` rows. Of more they keep a priority sample (Duffield, Lund and
/// Thorup, *Priority sampling for estimation of arbitrary subset sums*, 2007) whose draw is a hash of the row: an unbiased
/// sample that depends on the set of rows alone, not on their order. Equal rows are kept or let go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Aggregation {
    /// `count`: one row of one element, the number of rows.
    Count,
    /// `sum`: the sum of rows times weights.
    Sum,
    /// `mean`: the weighted centroid.
    Mean,
    /// `variance ddof=0`: two rows, mean and variance, by the updates of Welford and Chan.
    Variance {
        /// Taken from the divisor: 0 for the population, 1 for a sample.
        ddof: u8,
    },
    /// `min`: element by element.
    Min,
    /// `max`: element by element.
    Max,
    /// `geometric_median points=4096`: the point of least summed distance, by Weiszfeld's iteration with the step of
    /// Vardi and Zhang (2000), up to 1,000 passes over the kept points.
    GeometricMedian {
        /// Rows kept, 2 to 1,048,576.
        points: u32,
    },
    /// `covariance ddof=0`: a dim x dim matrix. Time and memory grow with the square of the dimension.
    Covariance {
        /// As for the variance.
        ddof: u8,
    },
    /// `k_means k=... points=4096 seed=0`: up to `k` centres (fewer where there are fewer distinct points), the weight of
    /// each beside it, heaviest first; by k-means++ and at most 100 Lloyd iterations over the kept points.
    KMeans {
        /// Number of clusters, 1 to `points`.
        k: u32,
        /// Rows kept, 2 to 1,048,576.
        points: u32,
        /// Of the draws of k-means++ and of the sample.
        seed: u64,
    },
    /// `pca components=2`: the mean (beside it the variance of all columns), then unit vectors of largest variance (beside
    /// each its variance, with divisor weight - 1). Signs as in `kernels::linalg::svd`. Needs the feature `linalg`.
    Pca {
        /// Number of directions; no more than dimensions are given.
        components: u32,
    },
}

impl Aggregation {
    /// Every name that can be parsed, in the order of the numbers; `centroid` is another name of `mean`.
    pub const NAMES: &'static [&'static str] = &[
        "count",
        "sum",
        "mean",
        "centroid",
        "variance",
        "min",
        "max",
        "geometric_median",
        "covariance",
        "k_means",
        "pca",
    ];

    /// The name, without parameters.
    pub fn name(&self) -> &'static str {
        match self {
            Aggregation::Count => "count",
            Aggregation::Sum => "sum",
            Aggregation::Mean => "mean",
            Aggregation::Variance { .. } => "variance",
            Aggregation::Min => "min",
            Aggregation::Max => "max",
            Aggregation::GeometricMedian { .. } => "geometric_median",
            Aggregation::Covariance { .. } => "covariance",
            Aggregation::KMeans { .. } => "k_means",
            Aggregation::Pca { .. } => "pca",
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let in_range = match *self {
            Aggregation::Variance { ddof } | Aggregation::Covariance { ddof } => ddof <= 1,
            Aggregation::GeometricMedian { points } => (2..=POINTS_MAX).contains(&points),
            Aggregation::KMeans { k, points, .. } => (2..=POINTS_MAX).contains(&points) && (1..=points).contains(&k),
            Aggregation::Pca { components } => components >= 1,
            _ => true,
        };
        if !in_range {
            return Err(Error::invalid_argument(format!("'{self}' has a parameter out of range")));
        }
        if matches!(self, Aggregation::Pca { .. }) && !cfg!(feature = "linalg") {
            return Err(Error::new(ErrorKind::Unsupported, "this build has no linear algebra").hint("use covariance"));
        }
        Ok(())
    }

    pub(super) fn points_max(&self) -> Option<usize> {
        match *self {
            Aggregation::GeometricMedian { points } | Aggregation::KMeans { points, .. } => {
                usize::try_from(points).ok()
            }
            _ => None,
        }
    }

    pub(super) fn needs_finite(&self) -> bool {
        self.points_max().is_some() || matches!(self, Aggregation::Pca { .. })
    }

    /// Number of the kind in exported bytes, never 0, and three parameters.
    pub(super) fn to_numbers(self) -> (u16, [u64; 3]) {
        match self {
            Aggregation::Count => (1, [0; 3]),
            Aggregation::Sum => (2, [0; 3]),
            Aggregation::Mean => (3, [0; 3]),
            Aggregation::Variance { ddof } => (4, [ddof.into(), 0, 0]),
            Aggregation::Min => (5, [0; 3]),
            Aggregation::Max => (6, [0; 3]),
            Aggregation::GeometricMedian { points } => (7, [points.into(), 0, 0]),
            Aggregation::Covariance { ddof } => (8, [ddof.into(), 0, 0]),
            Aggregation::KMeans { k, points, seed } => (9, [k.into(), points.into(), seed]),
            Aggregation::Pca { components } => (10, [components.into(), 0, 0]),
        }
    }

    /// Inverse of `to_numbers`; `None` for numbers it never gives.
    pub(super) fn from_numbers(kind: u16, parameters: [u64; 3]) -> Option<Self> {
        let [a, b, c] = parameters;
        let small = |x: u64| u32::try_from(x).ok();
        let ddof = u8::try_from(a).ok();
        let spec = match kind {
            1 => Aggregation::Count,
            2 => Aggregation::Sum,
            3 => Aggregation::Mean,
            4 => Aggregation::Variance { ddof: ddof? },
            5 => Aggregation::Min,
            6 => Aggregation::Max,
            7 => Aggregation::GeometricMedian { points: small(a)? },
            8 => Aggregation::Covariance { ddof: ddof? },
            9 => Aggregation::KMeans { k: small(a)?, points: small(b)?, seed: c },
            10 => Aggregation::Pca { components: small(a)? },
            _ => return None,
        };
        (spec.to_numbers() == (kind, parameters)).then_some(spec)
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Aggregation::Variance { ddof } | Aggregation::Covariance { ddof } => write!(f, " ddof={ddof}"),
            Aggregation::GeometricMedian { points } => write!(f, " points={points}"),
            Aggregation::KMeans { k, points, seed } => write!(f, " k={k} points={points} seed={seed}"),
            Aggregation::Pca { components } => write!(f, " components={components}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Aggregation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |what: String| Error::invalid_argument(what).during("aggregate");
        let mut words = text.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        let mut given: Vec<(&str, u64)> = Vec::new();
        for word in words {
            let pair = word.split_once('=').and_then(|(key, value)| Some((key, value.parse::<u64>().ok()?)));
            let (key, value) = pair.ok_or_else(|| bad(format!("'{}' is no key=number", word.escape_debug())))?;
            if given.iter().any(|(other, _)| *other == key) {
                return Err(bad(format!("'{}' is given twice", key.escape_debug())));
            }
            given.push((key, value));
        }
        let mut take = |key: &str, default: Option<u64>| {
            let found = given.iter().position(|(other, _)| *other == key).map(|at| given.swap_remove(at).1);
            found.or(default).ok_or_else(|| bad(format!("'{name}' needs {key}=number")))
        };
        let small = |x: u64| u32::try_from(x).map_err(|_| bad(format!("{x} is too large")));
        let ddof = |x: u64| u8::try_from(x).map_err(|_| bad(format!("{x} is too large")));
        let points = Some(u64::from(POINTS_DEFAULT));
        let spec = match name {
            "count" => Aggregation::Count,
            "sum" => Aggregation::Sum,
            "mean" | "centroid" => Aggregation::Mean,
            "variance" => Aggregation::Variance { ddof: ddof(take("ddof", Some(0))?)? },
            "min" => Aggregation::Min,
            "max" => Aggregation::Max,
            "geometric_median" => Aggregation::GeometricMedian { points: small(take("points", points)?)? },
            "covariance" => Aggregation::Covariance { ddof: ddof(take("ddof", Some(0))?)? },
            "k_means" => Aggregation::KMeans {
                k: small(take("k", None)?)?,
                points: small(take("points", points)?)?,
                seed: take("seed", Some(0))?,
            },
            "pca" => Aggregation::Pca { components: small(take("components", Some(2))?)? },
            other => {
                let known = Aggregation::NAMES.join(" ");
                return Err(bad(format!("no aggregate is called '{}'; there are {known}", other.escape_debug())));
            }
        };
        if let Some((key, _)) = given.first() {
            return Err(bad(format!("'{name}' takes no '{}'", key.escape_debug())));
        }
        spec.check().map(|()| spec)
    }
}
