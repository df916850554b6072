//! Lower bounds of distances from a companion, with their proof: which rows cannot be among the nearest.
//!
//! # What is to be shown
//!
//! Let D̂(q, x) be the distance as [`crate::kernels`] computes it in full precision, rounding included; results are
//! ordered by D̂. Given a limit U (the k-th best D̂ found so far), a row may be skipped only if D̂(q, x) > U.
//!
//! # Quantities
//!
//! For a row x: x = x' + e with x' = s·c (scale times codes), ‖e‖ ≤ E, and ‖x‖ ≤ ρ ≤ ‖x‖(1 + 2^-22); so
//! ‖x'‖ ≤ m with m = ρ + E. For the query: q = q' + f with q' = t₁g₁ + t₂g₂ and ‖f‖ ≤ F; N = ‖q‖. The integer kernels
//! give ⟨g₁, c⟩ and ⟨g₂, c⟩ exactly, hence p = s(t₁⟨g₁, c⟩ + t₂⟨g₂, c⟩) = ⟨q', x'⟩, and by Cauchy-Schwarz
//! |⟨q, x'⟩ - p| = |⟨f, x'⟩| ≤ F·m. Two levels of codes make F some 250 times smaller than one level does; the second
//! level costs no memory traffic, but arithmetic. With the first level alone all of this holds for q' = t₁g₁ and its own F.
//!
//! # Euclidean distances
//!
//! By the triangle inequality ‖q - x‖ ≥ ‖q - x'‖ - E. And ‖q - x'‖² = N² - 2⟨q, x'⟩ + ‖x'‖² ≥ N² - 2p - 2F·m + ‖x'‖².
//! The kernels sum squares of rounded differences in binary32 or better, in any order, so that
//! D̂ ≥ (1 - γ)·‖q - x‖² with γ = (d + 16)·2^-23 (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed.,
//! sections 3.1 and 4.2, with a factor of 2 to spare; `kernels::distance` promises less). D̂ ≤ U is therefore possible only if
//! ‖q - x'‖ ≤ E + R with R = √(U / (1 - γ)), or for the unsquared distance R = U / (1 - γ). A row is skipped if
//!
//! > N² + ‖x'‖² - 2p - 2F·m - δ(N + m)² > (E + R)².
//!
//! δ = 2^-17 pays for the evaluation of the left side in binary32: no term and no partial sum exceeds 5(N + m)², and
//! each of the fewer than 24 roundings adds at most 2^-24 of such a magnitude. The right side is rounded up by its
//! factor of 1 + 2^-20.
//!
//! This is tighter than bounding the inner product where it matters: the error is 2‖q - x'‖E + E², small for near rows.
//!
//! # Cosine
//!
//! With v = q / ‖q‖ and u = x / ‖x‖, 1 - cos = ½‖v - u‖². Scaled by ρ: ρ‖v - u‖ ≥ ‖ρv - x'‖ - ‖x' - x‖ - ‖x - ρu‖,
//! where the last is |‖x‖ - ρ| ≤ ρ·2^-22. So this is the Euclidean case with the query ρv, whose p and F are those of q
//! times ρ / N. The kernels' quotient of a dot product and two norms, each within γ, is within κ = 4γ of the cosine, so
//! D̂ ≤ U is possible only if ½‖v - u‖² ≤ U + κ: R = ρ(√(2(U + κ)) + 2^-20).
//!
//! # Dot
//!
//! ⟨q, x⟩ = ⟨q, x'⟩ + ⟨q, e⟩ ≤ p + F·m + N·E, and D̂ ≥ -⟨q, x⟩ - γ·N·ρ. A row is skipped if
//! p + N·E + F·m + (γ + δ)·N·m < -U.
//!
//! # Limits
//!
//! Norms of q and x lie in 2^-20..=2^30, which keeps every square in the range of binary32 and every product that
//! underflows below δ; other rows have E = ∞ and other queries are not bounded at all. Whatever becomes NaN is kept: the
//! comparison asks whether a row *is* beyond the limit.

use crate::kernels::Metric;

use super::companion::{Columns, TwoLevels, round_up};

/// 2^-17, see the proof.
const DELTA: f32 = 1.0 / 131_072.0;
/// Rounds the right side up.
const RAISE: f32 = 1.0 + 1.0 / 1_048_576.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dot,
    Cosine,
    SqEuclidean,
    Euclidean,
}

/// A query, ready to bound distances from codes.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    kind: Kind,
    scale: [f32; 2],
    /// F, of both levels; of the first alone while `scale[1]` is zero.
    error: f32,
    /// N, rounded up; for cosine 1 / N.
    norm: f32,
    norm2: f32,
    /// (d + 16)·2^-23.
    gamma: f64,
}

/// The limit U as the tests need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(f32);

/// True for the metrics that have bounds.
pub(super) fn is_bounded(metric: Metric) -> bool {
    kind(metric).is_some()
}

fn kind(metric: Metric) -> Option<Kind> {
    match metric {
        Metric::Dot => Some(Kind::Dot),
        Metric::Cosine => Some(Kind::Cosine),
        Metric::SqEuclidean => Some(Kind::SqEuclidean),
        Metric::Euclidean => Some(Kind::Euclidean),
        _ => None,
    }
}

impl Bound {
    /// By both levels of codes, and by the first alone.
    pub(super) fn new(metric: Metric, dim: usize, query: &TwoLevels) -> Option<[Self; 2]> {
        let kind = kind(metric)?;
        let norm = if kind == Kind::Cosine { query.norm.recip() } else { query.norm };
        let both = Bound {
            kind,
            scale: query.scale,
            error: round_up(query.error[1]),
            norm: round_up(norm),
            norm2: (query.norm * query.norm) as f32,
            gamma: (dim as f64 + 16.0) / f64::from(1 << 23),
        };
        let first = Bound { scale: [query.scale[0], 0.0], error: round_up(query.error[0]), ..both.clone() };
        Some([both, first])
    }

    /// Prepares a limit; NaN and infinity exclude nothing.
    pub(super) fn limit(&self, distance: f64) -> Limit {
        if distance.is_nan() {
            return Limit(f32::INFINITY);
        }
        let above_zero = distance.max(0.0);
        Limit(match self.kind {
            Kind::Dot => round_up(distance),
            Kind::SqEuclidean => round_up((above_zero / (1.0 - self.gamma)).sqrt()) * RAISE,
            Kind::Euclidean => round_up(above_zero / (1.0 - self.gamma)) * RAISE,
            Kind::Cosine => round_up((2.0 * (above_zero + 4.0 * self.gamma)).sqrt() + 1.0 / f64::from(1 << 20)) * RAISE,
        })
    }

    /// For each row a number that is greater than zero only if its distance is beyond the limit. Greater numbers are
    /// farther away, roughly. `dots` are the integer inner products with the two levels of codes;
    /// of a bound by the first level the second ones may be any.
    pub(super) fn margins(&self, rows: Columns<'_>, dots: [&[i32]; 2], limit: Limit, out: &mut [f32]) {
        let [first, second] = dots;
        let n = out.len();
        let (scale, error) = (&rows.scale[..n], &rows.error[..n]);
        let (norm, norm2) = (&rows.norm[..n], &rows.decoded_norm2[..n]);
        let (first, second) = (&first[..n], &second[..n]);
        // One loop per metric, without branches inside.
        macro_rules! each {
            ($margin:ident) => {
                for i in 0..n {
                    let p = scale[i] * (self.scale[0] * first[i] as f32 + self.scale[1] * second[i] as f32);
                    out[i] = self.$margin(p, error[i], norm[i], norm2[i], limit.0);
                }
            };
        }
        match self.kind {
            Kind::Dot => each!(dot),
            Kind::Cosine => each!(cosine),
            Kind::SqEuclidean | Kind::Euclidean => each!(euclidean),
        }
    }

    /// As [`Bound::margins`], for one row.
    pub(super) fn margin(&self, rows: Columns<'_>, dots: [i32; 2], row: usize, limit: Limit) -> f32 {
        let p = rows.scale[row] * (self.scale[0] * dots[0] as f32 + self.scale[1] * dots[1] as f32);
        let (error, norm, norm2) = (rows.error[row], rows.norm[row], rows.decoded_norm2[row]);
        match self.kind {
            Kind::Dot => self.dot(p, error, norm, norm2, limit.0),
            Kind::Cosine => self.cosine(p, error, norm, norm2, limit.0),
            Kind::SqEuclidean | Kind::Euclidean => self.euclidean(p, error, norm, norm2, limit.0),
        }
    }

    #[inline(always)]
    fn euclidean(&self, p: f32, error: f32, norm: f32, norm2: f32, limit: f32) -> f32 {
        let m = norm + error;
        let slack = 2.0 * self.error * m + DELTA * (self.norm + m) * (self.norm + m);
        let right = (error + limit) * (error + limit) * RAISE;
        (self.norm2 + norm2 - 2.0 * p - slack) - right
    }

    #[inline(always)]
    fn cosine(&self, p: f32, error: f32, norm: f32, norm2: f32, limit: f32) -> f32 {
        let m = norm + error;
        let turn = norm * self.norm;
        let slack = 2.0 * self.error * turn * m + DELTA * (norm + m) * (norm + m);
        let right = (error + norm * limit) * (error + norm * limit) * RAISE;
        ((norm * norm + norm2 - 2.0 * turn * p - slack) - right) / (norm * norm)
    }

    #[inline(always)]
    fn dot(&self, p: f32, error: f32, norm: f32, _norm2: f32, limit: f32) -> f32 {
        let m = norm + error;
        let slack = self.norm * error * RAISE + (self.error + (self.gamma as f32 + DELTA) * self.norm) * m;
        -(p + slack) - limit
    }
}
