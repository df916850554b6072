//! Vectors out of vectors, element by element: add, sub, scale, lerp, fma, normalize, softmax.
//!
//! Element types are f64 f32 f16 bf16 f8e4m3 f8e5m2. Those of 16 and 8 bits are computed in f32 and rounded to nearest
//! even; results beyond their range become infinite, in f8e4m3 NaN. Slices of different lengths are `InvalidShape`. NaN elements give NaN at their place.

use super::dispatch;
use super::float::{Float, Overflow, Wide};
use super::reduce::{max, scaled_norm, sum};
use super::vector::{Isa, Kernel};
use super::{Level, Norm, Rows, norm};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::reserve;

/// `out[i] = a[i] + b[i]`, rounded once.
pub fn add<T: Float>(a: &[T], b: &[T], out: &mut [T]) -> Result<()> {
    map([a, b, a], out, |[a, b, _], _| a + b)
}

/// `out[i] = a[i] - b[i]`, rounded once.
pub fn sub<T: Float>(a: &[T], b: &[T], out: &mut [T]) -> Result<()> {
    map([a, b, a], out, |[a, b, _], _| a - b)
}

/// `out[i] = factor * a[i]`, rounded once; `factor` is first rounded to f32 unless `T` is f64.
pub fn scale<T: Float>(a: &[T], factor: f64, out: &mut [T]) -> Result<()> {
    let factor = T::Wide::of(factor);
    map([a, a, a], out, |[a, _, _], _| factor * a)
}

/// `out[i] = (1 - t) a[i] + t b[i]`, as `fma(t, b, fma(-t, a, a))`: exactly `a` at `t = 0` and `b` at `t = 1` for finite
/// elements; `t` outside [0, 1] extrapolates. The error is at most `u (|a| + |t a| + |result|)`, `u` that of `T`
/// (of f32 and one rounding more for narrower types); `t` is first rounded to f32 unless `T` is f64.
pub fn lerp<T: Float>(a: &[T], b: &[T], t: f64, out: &mut [T]) -> Result<()> {
    let t = T::Wide::of(t);
    map([a, b, a], out, |[a, b, _], has_fma| t.fma(b, t.negate().fma(a, a, has_fma), has_fma))
}

/// `out[i] = a[i] * b[i] + c[i]` with one rounding (IEEE 754 fusedMultiplyAdd) for f64 and f32; narrower types round to
/// f32, then to their type.
pub fn fma<T: Float>(a: &[T], b: &[T], c: &[T], out: &mut [T]) -> Result<()> {
    map([a, b, c], out, |[a, b, c], has_fma| a.fma(b, c, has_fma))
}

/// `out = a / |a|₂`: length 1, relative error of each element at most 2 ulp. A zero vector stays one; a vector with an
/// infinite or NaN element becomes NaN throughout. Neither overflows nor vanishes where the norm alone would.
pub fn normalize<T: Float>(a: &[T], out: &mut [T]) -> Result<()> {
    same_length(&[a.len()], out.len())?;
    let row = Rows::one(a)?;
    if norm(Norm::Infinity, row)? == 0.0 {
        out.copy_from_slice(a);
        return Ok(());
    }
    let (length, scale) = scaled_norm(row);
    let length = if length.is_finite() || scale != 1.0 { length } else { f64::NAN };
    for (out, a) in out.iter_mut().zip(a) {
        // Scaled first where the norm is beyond the numbers f64 divides by well.
        *out = match scale == 1.0 {
            true => T::from_f64(a.to_f64() / length, Overflow::Infinity),
            false => T::from_f64(a.to_f64() * scale / (length * scale), Overflow::Infinity),
        };
    }
    Ok(())
}

/// `out[i] = exp(a[i] - m) / Σ exp(a[j] - m)`, `m` the largest element: never overflows, sums to 1. Computed in f64 and
/// rounded once; relative error at most 1 ulp of `T` and `2⁻⁵⁰` of f64. `-∞` gives 0; where all are `-∞`, one is `+∞` or
/// one is NaN, all are NaN (as SciPy). Nothing of nothing. Takes 8 bytes an element; `OutOfMemory`, before `out` is
/// touched, where they cannot be had.
pub fn softmax<T: Float>(a: &[T], out: &mut [T]) -> Result<()> {
    same_length(&[a.len()], out.len())?;
    if a.is_empty() {
        return Ok(());
    }
    let largest = max(Rows::one(a)?)?;
    let mut powers: Vec<f64> = Vec::new();
    reserve(&mut powers, a.len())?;
    powers.extend(a.iter().map(|a| (a.to_f64() - largest).exp()));
    let total = sum(Rows::one(&powers)?)?;
    out.iter_mut().zip(&powers).for_each(|(out, power)| *out = T::from_f64(power / total, Overflow::Infinity));
    Ok(())
}

fn same_length(inputs: &[usize], out: usize) -> Result<()> {
    match inputs.iter().all(|&len| len == out) {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::InvalidShape, format!("vectors of {inputs:?} elements into {out} places"))),
    }
}

/// Applies `f` to three elements of the same place; it is told whether the processor multiplies and adds at once.
fn map<T: Float>(inputs: [&[T]; 3], out: &mut [T], f: impl Fn([T::Wide; 3], bool) -> T::Wide) -> Result<()> {
    same_length(&inputs.map(<[T]>::len), out.len())?;
    dispatch::present().run(Map { inputs, out, f });
    Ok(())
}

struct Map<'a, T, F> {
    inputs: [&'a [T]; 3],
    out: &'a mut [T],
    f: F,
}

impl<T: Float, F: Fn([T::Wide; 3], bool) -> T::Wide> Kernel for Map<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let [a, b, c] = self.inputs;
        for (out, ((a, b), c)) in self.out.iter_mut().zip(a.iter().zip(b).zip(c)) {
            *out = T::narrow((self.f)([a.widen(), b.widen(), c.widen()], I::LEVEL != Level::Scalar));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::{F8E4M3, F8E5M2};
    use dispatch::Present;
    use half::{bf16, f16};

    fn applied<T: Float>(len: usize, zero: T, f: impl Fn(&mut [T]) -> Result<()>) -> Vec<T> {
        let mut out = vec![zero; len];
        f(&mut out).unwrap();
        out
    }

    #[test]
    fn every_type_is_rounded_once() {
        let (a, b): (Vec<f32>, Vec<f32>) = (0..100).map(|i| (0.1 * i as f32 - 3.0, 7.3 / (i + 1) as f32)).unzip();
        let out = applied(100, 0.0, |out| add(&a, &b, out));
        assert!((0..100).all(|i| out[i] == a[i] + b[i]));
        let out = applied(100, 0.0, |out| sub(&a, &b, out));
        assert!((0..100).all(|i| out[i] == a[i] - b[i]));
        let out = applied(100, 0.0, |out| scale(&a, 0.3, out));
        assert!((0..100).all(|i| out[i] == 0.3 * a[i]));
        let halves: Vec<f16> = a.iter().map(|&a| f16::from_f32(a)).collect();
        let out = applied(100, f16::ZERO, |out| add(&halves, &halves, out));
        assert!((0..100).all(|i| out[i] == f16::from_f32(halves[i].to_f32() * 2.0)));
        let out = applied(1, bf16::ZERO, |out| scale(&[bf16::MAX], 2.0, out));
        assert_eq!(out, [bf16::INFINITY]);
        // 1.75 + 0.25, 448 + 448; 57,344 + 57,344. The last two are beyond the types.
        let out = applied(2, F8E4M3(0), |out| add(&[F8E4M3(0x3e), F8E4M3(0x7e)], &[F8E4M3(0x28), F8E4M3(0x7e)], out));
        assert_eq!(out, [F8E4M3(0x40), F8E4M3(0x7f)]);
        assert_eq!(applied(1, F8E5M2(0), |out| scale(&[F8E5M2(0x7b)], -2.0, out)), [F8E5M2(0xfc)]);
    }

    // Multiply, round, add, round again loses the whole result here.
    #[test]
    fn fma_rounds_once() {
        let x = 1.0 + f64::EPSILON;
        let out = applied(1, 0.0, |out| fma(&[x], &[x], &[-x * x], out));
        assert_eq!(out, [x.mul_add(x, -x * x)]);
        assert_ne!(out, [0.0]);
    }

    #[test]
    fn lerp_meets_both_ends_exactly() {
        let (a, b) = ([0.1_f32, -7.0, 1e30, 3.0], [0.7_f32, 1e-30, -1e30, 3.0]);
        assert_eq!(applied(4, 0.0, |out| lerp(&a, &b, 0.0, out)), a);
        assert_eq!(applied(4, 0.0, |out| lerp(&a, &b, 1.0, out)), b);
        let middle = applied(4, 0.0, |out| lerp(&a, &b, 0.5, out));
        assert_eq!(middle[1..], [-3.5, 0.0, 3.0]);
    }

    #[test]
    fn normalised_vectors_have_length_one_whatever_their_size() {
        for unit in [1.0, 1e300, 1e-300, 1e-320] {
            let out = applied(3, 0.0_f64, |out| normalize(&[3.0 * unit, 0.0, -4.0 * unit], out));
            let tolerance = if unit == 1e-320 { 1e-2 } else { 1e-15 };
            assert!((out[0] - 0.6).abs() < tolerance && (out[2] + 0.8).abs() < tolerance, "{unit}: {out:?}");
            assert!((out[0].hypot(out[2]) - 1.0).abs() < 1e-15);
        }
        assert_eq!(applied(2, 1.0_f32, |out| normalize(&[0.0, 0.0], out)), [0.0, 0.0]);
        for wrong in [f32::INFINITY, f32::NAN] {
            assert!(applied(2, 1.0, |out| normalize(&[wrong, 1.0], out)).iter().all(|x| x.is_nan()));
        }
    }

    #[test]
    fn softmax_is_stable() {
        let out = applied(3, 0.0, |out| softmax(&[1000.0, 1000.0, f64::NEG_INFINITY], out));
        assert_eq!(out, [0.5, 0.5, 0.0]);
        let out = applied(3, 0.0_f32, |out| softmax(&[1.0, 2.0, 3.0], out));
        for (got, want) in out.iter().zip([0.090_030_57_f32, 0.244_728_48, 0.665_240_94]) {
            assert!((got / want - 1.0).abs() <= f32::EPSILON, "{got} {want}");
        }
        for wrong in [[f64::NEG_INFINITY; 2], [f64::INFINITY, 0.0], [f64::NAN, 0.0]] {
            assert!(applied(2, 0.0, |out| softmax(&wrong, out)).iter().all(|x| x.is_nan()), "{wrong:?}");
        }
        assert!(applied(0, 0.0_f32, |out| softmax(&[], out)).is_empty());
    }

    // Vectors that two machines make of the same vectors are compared by their hashes.
    #[test]
    fn every_instruction_set_gives_the_same_bits_at_every_length() {
        fn check<T: Float>() {
            let number = |i: usize, by: f64| T::from_f64((i as f64 - 100.0) * by, Overflow::Infinity);
            for len in 0..=257 {
                let row = |by: f64| (0..len).map(|i| number(i, by)).collect::<Vec<T>>();
                let (a, b, c) = (row(0.37), row(-1.9e-3), row(41.0));
                let bits = |isa: Present| {
                    let mut out = vec![number(0, 1.0); len];
                    isa.run(Map {
                        inputs: [&a, &b, &c],
                        out: &mut out,
                        f: |[a, b, c]: [T::Wide; 3], has_fma| a.fma(b, c, has_fma),
                    });
                    out.iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>()
                };
                let all: Vec<_> = Present::all().into_iter().map(bits).collect();
                assert!(all.iter().all(|one| *one == all[0]), "{}, length {len}", T::DTYPE);
            }
        }
        check::<f64>();
        check::<f32>();
        check::<f16>();
        check::<bf16>();
        check::<F8E4M3>();
    }

    #[test]
    fn lengths_must_agree() {
        let mut out = [0.0_f32; 2];
        let kind = |result: Result<()>| result.unwrap_err().kind();
        assert_eq!(kind(add(&[1.0], &[1.0, 2.0], &mut out)), ErrorKind::InvalidShape);
        assert_eq!(kind(softmax(&[1.0], &mut out)), ErrorKind::InvalidShape);
        assert_eq!(kind(normalize(&[1.0], &mut out)), ErrorKind::InvalidShape);
    }
}
