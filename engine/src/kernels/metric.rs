//! The distances by name and number.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, [$($alias:literal),*];)*) => {
        /// How far apart two vectors are. Every metric is a distance: smaller is nearer. Numbers are stable.
        ///
        /// For packed bits (`b1`) every metric takes the bits as elements that are 0 or 1.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Metric {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Metric {
            /// Every metric, in the order of the numbers.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)*];

            /// The stable number; never 0.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// Inverse of [`Metric::number`].
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Metric::$variant),)* _ => None }
            }

            /// Canonical lower-case name.
            pub const fn name(self) -> &'static str {
                match self { $(Metric::$variant => $name,)* }
            }
        }

        impl FromStr for Metric {
            type Err = Error;

            /// Accepts the canonical name and the names SciPy, faiss, pgvector and SQL Server use, in any case.
            fn from_str(text: &str) -> Result<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $($name $(| $alias)* => Ok(Metric::$variant),)*
                    _ => {
                        let what = format!("unknown metric '{}'", text.escape_debug());
                        Err(Error::new(ErrorKind::InvalidArgument, what)
                            .hint("known: dot cosine sqeuclidean euclidean manhattan hamming jaccard"))
                    }
                }
            }
        }
    };
}

metrics! {
    /// Minus the inner product, `-Σ aᵢbᵢ` (as SQL Server's `VECTOR_DISTANCE('dot', ..)` and pgvector's `<#>`).
    Dot = 1, "dot", ["ip", "inner", "inner_product"];
    /// `1 - Σ aᵢbᵢ / (|a| |b|)`, in [0, 2]. Two zero vectors have distance 0, a zero and another vector 1.
    Cosine = 2, "cosine", ["cos", "angular"];
    /// `Σ (aᵢ - bᵢ)²`.
    SqEuclidean = 3, "sqeuclidean", ["l2sq", "sql2", "squared_euclidean"];
    /// `√ Σ (aᵢ - bᵢ)²`.
    Euclidean = 4, "euclidean", ["l2"];
    /// `Σ |aᵢ - bᵢ|`.
    Manhattan = 5, "manhattan", ["l1", "cityblock", "taxicab"];
    /// The *count* of elements (bits for `b1`) that differ; SciPy divides it by the dimension. NaN differs from
    /// everything, -0 equals 0.
    Hamming = 6, "hamming", [];
    /// `1 - |a ∧ b| / |a ∨ b|` over the non-zero elements (set bits for `b1`), as SciPy's for booleans; 0 when neither
    /// vector has one. NaN is not zero.
    Jaccard = 7, "jaccard", ["tanimoto"];
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Vector sets store the number. A moved number would silently search by another distance.
    #[test]
    fn numbers_and_names_are_stable_and_never_zero() {
        let names: Vec<&str> = Metric::ALL.iter().map(|m| m.name()).collect();
        assert_eq!(names, ["dot", "cosine", "sqeuclidean", "euclidean", "manhattan", "hamming", "jaccard"]);
        assert_eq!(Metric::from_number(0), None);
        for (at, &metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(usize::from(metric.number()), at + 1);
            assert_eq!(Metric::from_number(metric.number()), Some(metric));
            assert_eq!(metric.to_string().to_uppercase().parse::<Metric>().unwrap(), metric);
        }
        assert_eq!("l2".parse::<Metric>().unwrap(), Metric::Euclidean);
        assert_eq!("near".parse::<Metric>().unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
