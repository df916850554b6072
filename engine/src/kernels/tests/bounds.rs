//! What makes numbers or vectors of one vector, against the bounds that each function states: every length, at an odd
//! address, with every kind of numbers that goes wrong in a way of its own.

use super::super::{
    Norm, Rows, argmax, argmin, lerp, log_sum_exp, max, mean, min, norm, normalize, softmax, sum, variance,
};
use super::{Exact, KINDS, Random, encode};
use crate::dtype::DType;

/// Half the distance from 1 to the next f64.
const U: f64 = f64::EPSILON / 2.0;

/// Calls `check` with the numbers of a row after rounding to its type, and with its bytes, which start at an odd address.
fn each_row(dtype: DType, check: impl Fn(&[f64], Rows<'_>)) {
    for (kind, element) in KINDS.iter().enumerate() {
        let mut random = Random::new(100 + kind as u64);
        for dim in 0..=257 {
            let numbers: Vec<f64> = (0..dim).map(|at| element(&mut random, at)).collect();
            let (bytes, held) = encode(dtype, &numbers);
            let bytes = [&[0xaa], bytes.as_slice()].concat();
            check(&held, Rows::new(dtype, 1, dim, &bytes[1..]).unwrap());
        }
    }
}

#[track_caller]
fn within(got: f64, want: f64, bound: f64, what: &str, row: Rows<'_>) {
    let (dtype, dim) = (row.dtype(), row.dim());
    assert!((got - want).abs() <= bound, "{what} of {dim} {dtype}: {got:e}, wanted {want:e} within {bound:e}");
}

// The last elements of a row have code of their own: left out, or taken twice, they change answers of some lengths only.
#[test]
fn numbers_of_a_vector_are_within_their_bounds_at_every_length() {
    for dtype in [DType::F64, DType::F32, DType::F16, DType::Bf16, DType::I8, DType::U8] {
        each_row(dtype, |x, row| {
            let n = x.len() as f64;
            let exact = |of: &dyn Fn(&mut Exact, f64)| {
                let mut total = Exact::default();
                x.iter().for_each(|&x| of(&mut total, x));
                total.value()
            };
            let total = exact(&|total, x| total.add(x));
            let sizes = exact(&|total, x| total.add(x.abs()));
            let length = exact(&|total, x| total.add_product(x, x)).sqrt();
            let largest = x.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
            within(sum(row).unwrap(), total, (12.0 * U + n * n * U * U) * sizes, "sum", row);
            within(norm(Norm::One, row).unwrap(), sizes, 16.0 * U * sizes, "1-norm", row);
            within(norm(Norm::Two, row).unwrap(), length, 17.0 * U * length, "2-norm", row);
            within(norm(Norm::Infinity, row).unwrap(), largest, 0.0, "largest", row);
            if x.is_empty() {
                return;
            }
            let place = |of: f64| x.iter().position(|&x| x == of).unwrap();
            let lowest = x.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!((min(row).unwrap(), argmin(row).unwrap()), (lowest, place(lowest)));
            assert_eq!((max(row).unwrap(), argmax(row).unwrap()), (highest, place(highest)));

            let middle = total / n;
            within(mean(row).unwrap(), middle, (n / 64.0 + 16.0) * U * sizes / n, "mean", row);
            let spread = exact(&|total, x| total.add_product(x - middle, x - middle)) / n;
            if spread > 0.0 {
                let condition = (1.0 + middle / spread * middle).sqrt();
                let bound = (n / 64.0 + 16.0) * U * condition * spread;
                within(variance(row, 0).unwrap(), spread, bound, "variance", row);
            }
            let powers = exact(&|total, x| total.add((x - highest).exp()));
            let want = highest + powers.ln();
            within(log_sum_exp(row).unwrap(), want, 8.0 * U * (1.0 + want.abs()), "log-sum-exp", row);
        });
    }
}

#[test]
fn vectors_of_a_vector_are_within_their_bounds_at_every_length() {
    let ulp = |x: f64| (x.abs() * f64::from(f32::EPSILON)).max(f64::from(f32::from_bits(1)));
    each_row(DType::F32, |x, row| {
        let a: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let mut out = vec![0.0_f32; a.len()];
        let mut squares = Exact::default();
        x.iter().for_each(|&x| squares.add_product(x, x));
        let length = squares.value().sqrt();
        normalize(&a, &mut out).unwrap();
        for (&got, x) in out.iter().zip(x).filter(|_| length > 0.0) {
            within(f64::from(got), x / length, 2.0 * ulp(x / length), "normalize", row);
        }

        let highest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut powers = Exact::default();
        x.iter().for_each(|&x| powers.add((x - highest).exp()));
        softmax(&a, &mut out).unwrap();
        for (&got, x) in out.iter().zip(x) {
            let want = (x - highest).exp() / powers.value();
            within(f64::from(got), want, ulp(want), "softmax", row);
        }

        let b: Vec<f32> = a.iter().rev().map(|b| b * 0.75).collect();
        let t = 0.3_f32;
        lerp(&a, &b, f64::from(t), &mut out).unwrap();
        for ((&got, &a), &b) in out.iter().zip(&a).zip(&b) {
            let (a, b, t) = (f64::from(a), f64::from(b), f64::from(t));
            let want = (1.0 - t) * a + t * b;
            let bound = f64::from(f32::EPSILON) / 2.0 * (a.abs() + (t * a).abs() + want.abs());
            within(f64::from(got), want, bound * 1.000_001 + f64::from(f32::from_bits(1)), "lerp", row);
        }
    });
}
