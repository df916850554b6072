//! Count, mean, variance and extremes as a small state: parts of a set are summarised apart and merged.

use super::Rows;
use super::decode::{self, Visit, supported};
use super::reduce::lane_sum;
use crate::error::{Error, ErrorKind, Result};

/// Count, mean, sum of squared deviations, minimum and maximum of the numbers seen.
///
/// Batches are reduced with two passes over 64 numbers and merged by the pairwise update of Chan, Golub and LeVeque
/// (*Updating Formulae and a Pairwise Algorithm for Computing Sample Variances*, 1979), which is Welford's for one
/// number at a time. The relative error of the mean (against the mean of magnitudes) and of the variance is at most
/// `(n / 64 + 16) 2⁻⁵³ κ`, with `κ = √(1 + mean² / variance)` for the variance and 1 for the mean. NaN seen once makes
/// all but the count NaN; an infinite number makes the variance NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// Sum of squared deviations from the mean.
    m2: f64,
    min: f64,
    max: f64,
}

/// Version of the bytes; never 0.
const VERSION: u64 = 1;

impl Moments {
    /// Bytes of a state: version (1), count, mean, sum of squared deviations, minimum, maximum; each eight bytes,
    /// little-endian, the first two unsigned integers, the others f64.
    pub const BYTES: usize = 48;

    /// Of nothing.
    pub const fn new() -> Self {
        Moments { count: 0, mean: 0.0, m2: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }

    /// Adds every element of every row. `Unsupported` for types other than f64 f32 f16 bf16 f8e4m3 f8e5m2 i8 u8
    /// i16 u16 i32 u32.
    pub fn push(&mut self, rows: Rows<'_>) -> Result<()> {
        supported(rows)?;
        // Rows of no elements take no memory, and so may be more than could ever be counted.
        if rows.dim() > 0 {
            (0..rows.rows()).for_each(|row| decode::visit(rows, row, self));
        }
        Ok(())
    }

    /// Adds one number.
    pub fn push_one(&mut self, x: f64) {
        // Of a number that is none, or infinite, nothing is known about the spread.
        let m2 = if x.is_finite() { 0.0 } else { f64::NAN };
        self.merge(&Moments { count: 1, mean: x, m2, min: x, max: x });
    }

    /// Adds what another state has seen. The order of merges matters only to the last digits; which numbers are infinite
    /// or NaN does not depend on it.
    pub fn merge(&mut self, other: &Moments) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                *self = *other;
            }
            return;
        }
        let count = self.count.saturating_add(other.count);
        let share = other.count as f64 / count as f64;
        let delta = other.mean - self.mean;
        self.m2 += other.m2 + delta * delta * share * self.count as f64;
        self.mean = if delta.is_finite() {
            self.mean + delta * share
        } else if self.mean.is_finite() && other.mean.is_finite() {
            // Only their difference is beyond f64.
            self.mean * (1.0 - share) + other.mean * share
        } else {
            // A sum, for it is the same from both sides; of unequal infinities it is NaN.
            self.mean + other.mean
        };
        self.count = count;
        let nan = self.min.is_nan() || other.min.is_nan();
        self.min = if nan { f64::NAN } else { self.min.min(other.min) };
        self.max = if nan { f64::NAN } else { self.max.max(other.max) };
    }

    /// How many numbers were seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean; NaN of nothing.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.mean }
    }

    /// Variance with `count - ddof` as divisor (0: population, 1: sample); NaN unless more than `ddof` numbers were seen.
    pub fn variance(&self, ddof: u64) -> f64 {
        match self.count.checked_sub(ddof) {
            None | Some(0) => f64::NAN,
            Some(divisor) => self.m2 / divisor as f64,
        }
    }

    /// Square root of [`Moments::variance`].
    pub fn standard_deviation(&self, ddof: u64) -> f64 {
        self.variance(ddof).sqrt()
    }

    /// Smallest number; `+∞` of nothing.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Largest number; `-∞` of nothing.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The state as bytes, for aggregates whose parts travel.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let words = [VERSION, self.count].into_iter();
        let numbers = [self.mean, self.m2, self.min, self.max].into_iter().map(f64::to_bits);
        for (place, word) in bytes.chunks_exact_mut(8).zip(words.chain(numbers)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Inverse of [`Moments::to_bytes`]. `NewerFormat` for a later version, `Corrupt` for bytes no state has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|&word| u64::from_le_bytes(word)).collect();
        let &[version, count, ref numbers @ ..] = words.as_slice() else {
            return Err(Error::new(ErrorKind::Corrupt, "moments are cut short"));
        };
        if version > VERSION {
            return Err(Error::new(ErrorKind::NewerFormat, format!("moments of version {version}")));
        }
        let &[mean, m2, min, max] = numbers else {
            return Err(Error::new(ErrorKind::Corrupt, format!("moments of {} bytes", bytes.len())));
        };
        let [mean, m2, min, max] = [mean, m2, min, max].map(f64::from_bits);
        let state = Moments { count, mean, m2, min, max };
        let nothing = count == 0;
        let possible = !(m2 < 0.0 || min > max) && (min.is_nan() == max.is_nan());
        if version != VERSION || !rest.is_empty() || if nothing { state != Moments::new() } else { !possible } {
            return Err(Error::new(ErrorKind::Corrupt, "bytes that no moments have"));
        }
        Ok(state)
    }
}

impl Default for Moments {
    fn default() -> Self {
        Self::new()
    }
}

impl Visit for Moments {
    #[inline(always)]
    fn visit(&mut self, x: &[f64]) {
        let count = x.len() as f64;
        let mean = lane_sum(x, |x| x) / count;
        // The sum of finite numbers may be beyond f64 where their mean is not.
        let mean = if mean.is_finite() { mean } else { lane_sum(x, |x| x / count) };
        let m2 = lane_sum(x, |x| (x - mean) * (x - mean));
        // What rounding of the mean left over, taken out again ("corrected two-pass").
        let rest = lane_sum(x, |x| x - mean);
        let m2 = if m2.is_finite() { (m2 - rest * rest / count).max(0.0) } else { m2 };
        let nan = x.iter().any(|x| x.is_nan());
        let min = x.iter().fold(f64::INFINITY, |min, &x| if x < min { x } else { min });
        let max = x.iter().fold(f64::NEG_INFINITY, |max, &x| if x > max { x } else { max });
        let extremes = if nan { (f64::NAN, f64::NAN) } else { (min, max) };
        let part = Moments { count: x.len() as u64, mean, m2, min: extremes.0, max: extremes.1 };
        self.merge(&part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random::Random;

    fn of(x: &[f64]) -> Moments {
        let mut moments = Moments::new();
        moments.push(Rows::one(x).unwrap()).unwrap();
        moments
    }

    fn close(got: f64, want: f64, error: f64) {
        assert!((got - want).abs() <= error * want.abs(), "{got} is not {want}");
    }

    // The textbook formula (mean of squares minus square of mean) gives garbage, even negative, for these.
    #[test]
    fn variance_survives_a_large_mean() {
        let x: Vec<f64> = (0..10_000).map(|i| 1e9 + f64::from(i % 2)).collect();
        close(of(&x).variance(0), 0.25, 1e-6);
        close(of(&x).mean(), 1e9 + 0.5, 1e-14);
        assert!(of(&[0.1; 1000]).variance(0) < 1e-32);
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let mut random = Random::new(11);
        let x: Vec<f64> = (0..1000).map(|_| random.below(1 << 20) as f64 / 1024.0 - 300.0).collect();
        let mean = x.iter().sum::<f64>() / 1000.0;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 999.0;
        for cut in [0, 1, 63, 64, 65, 500, 999, 1000] {
            let mut left = of(&x[..cut]);
            left.merge(&of(&x[cut..]));
            assert_eq!(left.count(), 1000);
            close(left.mean(), mean, 1e-12);
            close(left.variance(1), variance, 1e-12);
            assert_eq!(left.min(), x.iter().copied().fold(f64::MAX, f64::min));
            assert_eq!(left.max(), x.iter().copied().fold(f64::MIN, f64::max));
        }
        let mut singly = Moments::new();
        x.iter().for_each(|&x| singly.push_one(x));
        close(singly.variance(1), variance, 1e-12);
    }

    #[test]
    fn nothing_nan_and_infinity() {
        let nothing = Moments::new();
        assert!(nothing.mean().is_nan() && nothing.variance(0).is_nan() && of(&[1.0]).variance(1).is_nan());
        let nan = of(&[1.0, f64::NAN, 3.0]);
        assert!(nan.mean().is_nan() && nan.variance(0).is_nan() && nan.min().is_nan() && nan.max().is_nan());
        let infinite = of(&[1.0, f64::INFINITY]);
        assert_eq!((infinite.mean(), infinite.max(), infinite.min()), (f64::INFINITY, f64::INFINITY, 1.0));
        assert!(infinite.variance(0).is_nan());
        let mut one = of(&[2.0]);
        one.merge(&nothing);
        // As many rows of no elements as there can be once kept a thread for ever.
        one.push(Rows::new(crate::DType::F32, usize::MAX, 0, &[]).unwrap()).unwrap();
        assert_eq!(one, of(&[2.0]));
    }

    // A parallel plan merges its parts in any order. One order made the mean of an infinity and a number NaN.
    #[test]
    fn infinities_merge_alike_in_every_order() {
        let kind = |x: f64| if x.is_nan() { "NaN".to_owned() } else { x.to_string() };
        let facts = |m: &Moments| [m.mean(), m.variance(0), m.min(), m.max()].map(kind);
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let sets: [&[f64]; 6] =
            [&[inf, 1.0], &[inf, inf, 2.0], &[-inf, inf, 0.0], &[nan, inf, 3.0], &[-inf, -1.0], &[nan, 5.0]];
        for set in sets {
            let whole = facts(&of(set));
            for start in 0..set.len() {
                for backwards in [false, true] {
                    let mut order: Vec<f64> = set.iter().cycle().skip(start).take(set.len()).copied().collect();
                    if backwards {
                        order.reverse();
                    }
                    let mut merged = Moments::new();
                    order.iter().for_each(|&x| merged.merge(&of(&[x])));
                    assert_eq!(facts(&merged), whole, "{order:?} one after the other");
                    let (last, rest) = order.split_last().unwrap();
                    let mut merged = of(&[*last]);
                    merged.merge(&of(rest));
                    assert_eq!(facts(&merged), whole, "{last} and then {rest:?}");
                }
            }
        }
    }

    // The sum, or the difference of two means, overflows here, although every mean is a number.
    #[test]
    fn the_mean_of_huge_numbers_is_a_number() {
        close(of(&[1e308; 200]).mean(), 1e308, 1e-15);
        let mut apart = of(&[f64::MAX]);
        apart.merge(&of(&[f64::MIN]));
        assert_eq!(apart.mean(), 0.0);
    }

    #[test]
    fn bytes_come_back_and_others_are_refused() {
        for state in [Moments::new(), of(&[1.0, 2.0, 4.5]), of(&[-0.0])] {
            assert_eq!(Moments::from_bytes(&state.to_bytes()).unwrap(), state);
        }
        assert!(Moments::from_bytes(&of(&[f64::NAN]).to_bytes()).unwrap().mean().is_nan());
        let bytes = of(&[1.0, 2.0]).to_bytes();
        let kind = |bytes: &[u8]| Moments::from_bytes(bytes).unwrap_err().kind();
        (0..bytes.len()).for_each(|len| assert_eq!(kind(&bytes[..len]), ErrorKind::Corrupt));
        assert_eq!(kind(&[0; 48]), ErrorKind::Corrupt);
        let changed = |at: usize, value: u8| {
            let mut bytes = bytes;
            bytes[at] = value;
            bytes
        };
        assert_eq!(kind(&changed(0, 2)), ErrorKind::NewerFormat);
        assert_eq!(kind(&changed(8, 0)), ErrorKind::Corrupt, "a count of 0 with content");
        assert_eq!(kind(&changed(31, 0xbf)), ErrorKind::Corrupt, "a negative sum of squares");
    }
}
