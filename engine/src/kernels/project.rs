//! Projection of vectors onto a few fixed axes, with the same bits on every machine and in every release.
//!
//! Coordinates are stored and indexed, so they must never change. The axes are made from integers by SplitMix64 (Steele,
//! Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) and from f64 additions, products, quotients
//! and square roots, which IEEE 754 rounds the same everywhere; no operation is fused and the order of every sum is fixed.
//! A change of any of this is a new number in [`BASIS_VERSION`].

use crate::error::{Error, ErrorKind, Result};
use crate::memory::zeroed;

/// Version of the axes and of the order of evaluation. Kept with stored coordinates, it says whether they can be compared.
pub const BASIS_VERSION: u32 = 1;

/// Largest dimension of projected vectors, and largest number of axes.
pub const DIM_MAX: usize = 1 << 20;

/// Partial sums of a dot product: wide registers may be used, and the order is still one.
const LANES: usize = 8;

/// "Tensor" and the version; the axis is added.
const LANDMARK_SEED: u64 = 0x5465_6e73_6f72_0001;

/// Axes for vectors of one dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    dim: usize,
    axes: usize,
    /// Row-major, axes x dim.
    basis: Vec<f64>,
}

impl Projection {
    /// Three orthonormal axes: distances in the picture are at most the true ones.
    ///
    /// Axis `a` begins as numbers `k / 2^52` with `k = (next >> 11) - 2^52`, from SplitMix64 seeded with
    /// `0x54656e736f720001 + a`; then it is made orthogonal to the axes before it (modified Gram-Schmidt, twice) and
    /// divided by its length. Vectors of fewer than three dimensions have zeros on the axes they cannot fill. Fails with
    /// `InvalidArgument` unless `dim` is 1..=[`DIM_MAX`], with `OutOfMemory` where the axes cannot be held.
    pub fn landmarks(dim: usize) -> Result<Self> {
        let mut projection = Self::zero(dim, 3)?;
        for axis in 0..3.min(dim) {
            let (before, rest) = projection.basis.split_at_mut(axis * dim);
            let row = &mut rest[..dim];
            let mut state = LANDMARK_SEED.wrapping_add(axis as u64);
            for value in row.iter_mut() {
                let integer = (next(&mut state) >> 11) as i64 - (1 << 52);
                *value = integer as f64 / (1_u64 << 52) as f64;
            }
            // Once leaves an error in proportion to what was taken away, twice does not (Giraud et al. 2005).
            for _ in 0..2 {
                for other in before.chunks_exact(dim) {
                    let along = dot(row, other, |&value| value);
                    row.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
                }
            }
            let length = dot(row, row, |&value| value).sqrt();
            row.iter_mut().for_each(|value| *value /= length);
        }
        Ok(projection)
    }

    /// `axes` directions of random signs, scaled by `1 / sqrt(axes)`: squared distances are kept on average, with a
    /// relative error of about `sqrt(2 / axes)` (Achlioptas, "Database-friendly random projections", 2003).
    ///
    /// Signs are the bits of SplitMix64 seeded with `seed`, lowest first, 1 for minus; each axis begins with a new word.
    /// Fails with `InvalidArgument` unless `dim` and `axes` are 1..=[`DIM_MAX`] and their product is at most 2^28.
    pub fn random(dim: usize, axes: usize, seed: u64) -> Result<Self> {
        let mut projection = Self::zero(dim, axes)?;
        let scale = 1.0 / (axes as f64).sqrt();
        let mut state = seed;
        for row in projection.basis.chunks_exact_mut(dim) {
            for values in row.chunks_mut(64) {
                let word = next(&mut state);
                for (bit, value) in values.iter_mut().enumerate() {
                    *value = if word >> bit & 1 == 1 { -scale } else { scale };
                }
            }
        }
        Ok(projection)
    }

    fn zero(dim: usize, axes: usize) -> Result<Self> {
        if !(1..=DIM_MAX).contains(&dim) || !(1..=DIM_MAX).contains(&axes) || dim * axes > 1 << 28 {
            let what = format!("a projection of {dim} dimensions onto {axes} axes is not possible");
            return Err(Error::invalid_argument(what).hint("both are 1 to 2^20, and their product at most 2^28"));
        }
        Ok(Projection { dim, axes, basis: zeroed(dim.saturating_mul(axes))? })
    }

    /// Dimension of the vectors.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of axes.
    pub fn axes(&self) -> usize {
        self.axes
    }

    /// Direction of an axis, `dim` numbers; `None` past the last.
    pub fn axis(&self, axis: usize) -> Option<&[f64]> {
        self.basis.chunks_exact(self.dim).nth(axis)
    }

    /// Coordinates of one or more vectors (row-major, rows x dim) into `target` (row-major, rows x axes).
    ///
    /// Coordinates are f64 dot products: element `i` goes to partial sum `i % 8`, in order, and the sums are added as
    /// `((0+1)+(2+3))+((4+5)+(6+7))`. NaN and infinity spread by the rules of IEEE 754. Fails with `InvalidShape` unless
    /// both slices hold the same whole number of rows. Does not allocate.
    pub fn project(&self, vectors: &[f32], target: &mut [f64]) -> Result<()> {
        self.fill(vectors, target, |&value| f64::from(value))
    }

    /// As [`Projection::project`], of f64.
    pub(crate) fn project_wide(&self, vectors: &[f64], target: &mut [f64]) -> Result<()> {
        self.fill(vectors, target, |&value| value)
    }

    fn fill<T>(&self, vectors: &[T], target: &mut [f64], wide: impl Fn(&T) -> f64 + Copy) -> Result<()> {
        let fits = vectors.len().is_multiple_of(self.dim)
            && target.len().is_multiple_of(self.axes)
            && vectors.len() / self.dim == target.len() / self.axes;
        if !fits {
            let what = format!(
                "{} numbers in vectors of {} and {} coordinates on {} axes are not the same number of rows",
                vectors.len(),
                self.dim,
                target.len(),
                self.axes
            );
            return Err(Error::new(ErrorKind::InvalidShape, what));
        }
        for (vector, target) in vectors.chunks_exact(self.dim).zip(target.chunks_exact_mut(self.axes)) {
            for (axis, coordinate) in self.basis.chunks_exact(self.dim).zip(target) {
                *coordinate = dot(vector, axis, wide);
            }
        }
        Ok(())
    }
}

/// The next number of SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Dot product in the order that [`Projection::project`] documents.
#[inline]
fn dot<T>(vector: &[T], axis: &[f64], wide: impl Fn(&T) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    for (vector, axis) in vector.chunks(LANES).zip(axis.chunks(LANES)) {
        for ((sum, value), axis) in sums.iter_mut().zip(vector).zip(axis) {
            *sum += wide(value) * axis;
        }
    }
    ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(values: &[f64]) -> u32 {
        crc32fast::hash(&values.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect::<Vec<u8>>())
    }

    /// Numbers anybody can make again: `(i * 37 % 101 - 50) / 8`.
    fn vector(len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 % 101) as f32 - 50.0) / 8.0).collect()
    }

    // Stored coordinates would no longer belong to their vectors. The bits come from another implementation, in Python.
    #[test]
    fn the_bits_of_version_1_never_change() {
        let check = |projection: Projection, basis: u32, coordinates: &[u64]| {
            let mut target = vec![0.0; projection.axes()];
            projection.project(&vector(projection.dim()), &mut target).unwrap();
            let found: Vec<u64> = target.iter().map(|value| value.to_bits()).collect();
            assert_eq!(checksum(&projection.basis), basis, "{} dimensions", projection.dim());
            assert_eq!(found, coordinates, "{} dimensions", projection.dim());
        };
        assert_eq!(BASIS_VERSION, 1);
        check(
            Projection::landmarks(1).unwrap(),
            0x3bb2_20bb,
            &[0xc019_0000_0000_0000, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000],
        );
        check(
            Projection::landmarks(3).unwrap(),
            0x46f7_cac8,
            &[0xc011_1a64_218e_f620, 0x4006_a17c_5f63_0e12, 0x4013_c41a_998c_11a5],
        );
        check(
            Projection::landmarks(384).unwrap(),
            0x8b86_897b,
            &[0x4001_939b_7918_a9f6, 0x4009_4583_1274_f9ae, 0x400a_813e_fa2b_cdd6],
        );
        check(
            Projection::landmarks(1998).unwrap(),
            0x2f37_4201,
            &[0xc018_053d_9fe8_60b4, 0x4005_fc4a_06af_abbe, 0x4008_a024_bce4_3520],
        );
        check(Projection::random(100, 2, 42).unwrap(), 0x2f30_dc52, &[0x403b_393e_9351_13f0, 0xc02a_29b7_2683_1d26]);
    }

    #[test]
    fn landmarks_are_orthonormal() {
        for dim in [1, 2, 3, 4, 7, 8, 384, 1998] {
            let projection = Projection::landmarks(dim).unwrap();
            for a in 0..3 {
                for b in 0..3 {
                    let (first, second) = (projection.axis(a).unwrap(), projection.axis(b).unwrap());
                    let product: f64 = first.iter().zip(second).map(|(x, y)| x * y).sum();
                    let expected = if a == b && a < dim { 1.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-14, "axes {a} and {b} of {dim}: {product}");
                }
            }
            assert_eq!(projection.axis(3), None);
        }
    }

    #[test]
    fn many_vectors_are_projected_as_one() {
        let projection = Projection::random(13, 5, 9).unwrap();
        let vectors = vector(13 * 4);
        let mut together = vec![0.0; 20];
        projection.project(&vectors, &mut together).unwrap();
        for (vector, together) in vectors.chunks(13).zip(together.chunks(5)) {
            let mut alone = vec![0.0; 5];
            projection.project(vector, &mut alone).unwrap();
            assert_eq!(alone, together);
            for (axis, value) in alone.iter().enumerate() {
                let axis = projection.axis(axis).unwrap();
                let expected: f64 = vector.iter().zip(axis).map(|(&x, a)| f64::from(x) * a).sum();
                assert!((value - expected).abs() < 1e-12);
            }
        }
    }

    // A scale forgotten, or signs that repeat, would stretch all distances.
    #[test]
    fn random_axes_keep_squared_lengths_on_average() {
        let vector = vector(300);
        let length: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let projection = Projection::random(300, 2000, 5).unwrap();
        let mut target = vec![0.0; 2000];
        projection.project(&vector, &mut target).unwrap();
        let projected: f64 = target.iter().map(|x| x * x).sum();
        assert!((projected / length - 1.0).abs() < 0.15, "{projected} instead of {length}");
    }

    #[test]
    fn lengths_are_checked() {
        let projection = Projection::landmarks(4).unwrap();
        for (vectors, target) in [(3, 3), (4, 2), (8, 3), (0, 3)] {
            let error = projection.project(&vec![0.0; vectors], &mut vec![0.0; target]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidShape);
        }
        projection.project(&[], &mut []).unwrap();
        for (dim, axes) in [(0, 3), (3, 0), (DIM_MAX + 1, 3), (DIM_MAX, 1 << 9), (usize::MAX, usize::MAX)] {
            assert_eq!(Projection::random(dim, axes, 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
        assert!(Projection::landmarks(0).is_err());
    }
}
