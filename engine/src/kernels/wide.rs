//! Distances in f64 with scaling, for the pairs whose sums leave the range of the fast path. Slow, and right.

use half::{bf16, f16};

use super::distance::cosine;
use super::{Metric, Rows};
use crate::dtype::DType;

/// Distance of two rows of floats; for the metrics that are sums.
#[inline(never)]
pub(super) fn distance(metric: Metric, a: Rows<'_>, b: Rows<'_>) -> f64 {
    let same = a.dtype() == b.dtype() && a.row_bytes(0) == b.row_bytes(0);
    let (a, b) = (elements(a), elements(b));
    // Copies of a row are common, and need no arithmetic. Not so with NaN or infinity in them.
    if same && matches!(metric, Metric::SqEuclidean | Metric::Euclidean) && a.iter().all(|x| x.is_finite()) {
        return 0.0;
    }
    let (scale_a, scale_b) = (scale(&a), scale(&b));
    let pairs = || a.iter().zip(&b);
    match metric {
        Metric::Dot => {
            let sum: f64 = pairs().map(|(x, y)| (x * scale_a) * (y * scale_b)).sum();
            // The scale that makes smaller first: the other may overflow on the way.
            0.0 - unscale(unscale(sum, scale_a.max(scale_b)), scale_a.min(scale_b))
        }
        Metric::Cosine => {
            let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
            for (x, y) in pairs() {
                let (x, y) = (x * scale_a, y * scale_b);
                (ab, aa, bb) = (ab + x * y, aa + x * x, bb + y * y);
            }
            cosine(ab, aa, bb)
        }
        _ => {
            // Halved, so that differences stay finite; of the difference, so that close vectors keep their digits.
            let halves: Vec<f64> = pairs().map(|(x, y)| x * 0.5 - y * 0.5).collect();
            let doubles: Vec<f64> = pairs().map(|(x, y)| x - y).collect();
            let (differences, half) = match doubles.iter().all(|d| d.is_finite()) {
                true => (doubles, 1.0),
                false => (halves, 0.5),
            };
            let scale = scale(&differences);
            let scaled = differences.iter().map(|d| d * scale);
            let back = |sum: f64| unscale(sum, scale) / half;
            match metric {
                Metric::SqEuclidean => back(back(scaled.map(|d| d * d).sum())),
                Metric::Euclidean => back(scaled.map(|d| d * d).sum::<f64>().sqrt()),
                _ => back(scaled.map(f64::abs).sum()),
            }
        }
    }
}

/// [`scale_of`] the largest finite element; 1 where all are 0.
fn scale(elements: &[f64]) -> f64 {
    let largest = elements.iter().filter(|x| x.is_finite()).fold(0.0_f64, |largest, x| largest.max(x.abs()));
    if largest > 0.0 { scale_of(largest) } else { 1.0 }
}

/// A power of two that brings a positive number near 1 (subnormal ones: below 1).
pub(super) fn scale_of(largest: f64) -> f64 {
    let exponent = (largest.to_bits() >> 52).clamp(1, 2045);
    // 2^(1023 - exponent), whose own biased exponent is in 1..=2045.
    f64::from_bits((2046 - exponent) << 52)
}

/// Takes a scale back. By division: the inverse of the largest scales is no normal number.
fn unscale(value: f64, scale: f64) -> f64 {
    value / scale
}

/// The elements of a row.
fn elements(row: Rows<'_>) -> Vec<f64> {
    macro_rules! widen {
        ($element:ty) => {
            row.row_bytes(0).as_chunks().0.iter().map(|&bytes| f64::from(<$element>::from_le_bytes(bytes))).collect()
        };
    }
    match row.dtype() {
        DType::F64 => widen!(f64),
        DType::F32 => widen!(f32),
        DType::F16 => widen!(f16),
        DType::Bf16 => widen!(bf16),
        DType::I8 => widen!(i8),
        _ => widen!(u8),
    }
}
