//! Matrix product, singular value decomposition and principal components of f32 and f64 matrices, by the crate `faer`.
//!
//! **Determinism.** The same input gives the same bits on the same processor, whatever the number of threads: products
//! are cut into row blocks of a fixed size, each computed by one thread; decompositions run on one thread. Another
//! instruction set may round differently, for faer adds in the order of its registers.
//!
//! Matrices that are returned are row-major and contiguous.

use std::ops::Neg;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul as faer_matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd as faer_svd, svd_scratch};
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::memory::zeroed;

mod sealed {
    pub trait Sealed: faer::traits::RealField {}
}

/// `f32` or `f64`. Sealed.
pub trait Real: sealed::Sealed + Copy + Default + PartialOrd + Neg<Output = Self> + Send + Sync + 'static {
    /// The same number as f64.
    fn to_f64(self) -> f64;

    /// The nearest number of this type.
    fn from_f64(value: f64) -> Self;
}

macro_rules! reals {
    ($($rust:ty),*) => {
        $(
            impl sealed::Sealed for $rust {}
            impl Real for $rust {
                fn to_f64(self) -> f64 {
                    self.into()
                }

                fn from_f64(value: f64) -> Self {
                    value as $rust
                }
            }
        )*
    };
}

reals!(f32, f64);

/// A matrix in somebody's slice: rows at equal distances, elements of a row side by side, or the transpose of that.
#[derive(Clone, Copy, Debug)]
pub struct MatrixView<'a, T> {
    data: &'a [T],
    /// Of the matrix as it is stored.
    rows: usize,
    cols: usize,
    row_stride: usize,
    transposed: bool,
}

impl<'a, T: Real> MatrixView<'a, T> {
    /// A row-major matrix. Fails with `InvalidShape` unless `data` has exactly `rows * cols` elements.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Result<Self> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(shape_error(format!("{} elements are no {rows} x {cols} matrix", data.len())));
        }
        Ok(MatrixView { data, rows, cols, row_stride: cols, transposed: false })
    }

    /// Rows that begin `row_stride` elements apart. Fails with `InvalidShape` when rows overlap (`row_stride < cols`) or
    /// `data` ends before the last row does; it may be longer.
    pub fn strided(data: &'a [T], rows: usize, cols: usize, row_stride: usize) -> Result<Self> {
        let end = rows.saturating_sub(1).checked_mul(row_stride).and_then(|last| last.checked_add(cols));
        let fits = rows == 0 || cols == 0 || (row_stride >= cols && end.is_some_and(|end| end <= data.len()));
        if !fits {
            let what = format!("{} elements hold no {rows} rows of {cols} every {row_stride}", data.len());
            return Err(shape_error(what));
        }
        Ok(MatrixView { data, rows, cols, row_stride, transposed: false })
    }

    /// The transpose; nothing is moved.
    #[must_use]
    pub fn transpose(self) -> Self {
        MatrixView { transposed: !self.transposed, ..self }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        if self.transposed { self.cols } else { self.rows }
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        if self.transposed { self.rows } else { self.cols }
    }

    /// An element; `None` outside.
    pub fn get(&self, row: usize, col: usize) -> Option<T> {
        let (row, col) = if self.transposed { (col, row) } else { (row, col) };
        if row < self.rows && col < self.cols { self.data.get(row * self.row_stride + col).copied() } else { None }
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 || self.cols == 0
    }

    fn as_faer(&self) -> MatRef<'a, T> {
        let stored = MatRef::from_row_major_slice_with_stride(self.data, self.rows, self.cols, self.row_stride);
        if self.transposed { stored.transpose() } else { stored }
    }

    fn check_finite(&self) -> Result<()> {
        for row in 0..self.rows() {
            for col in 0..self.cols() {
                if let Some(value) = self.get(row, col).map(Real::to_f64)
                    && !value.is_finite()
                {
                    let what = format!("the matrix has {value} in row {row}, column {col}");
                    return Err(Error::invalid_argument(what).hint("only finite matrices can be decomposed"));
                }
            }
        }
        Ok(())
    }
}

/// Rows of a product that one thread computes. Fixed, for the order of additions depends on it.
const BLOCK_ROWS: usize = 256;

/// The product `a * b` into `target` (row-major, `a.rows() x b.cols()`), on all threads of the current rayon pool.
///
/// Each element errs by at most about `k * eps * sum |a||b|`, with `k = a.cols()` and `eps` the precision of the type
/// (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.5). NaN and infinity spread as IEEE 754 says. With
/// `k = 0` the product is all zeros. Fails with `InvalidShape` when dimensions do not fit; then `target` is not touched.
pub fn matmul<T: Real>(a: MatrixView<'_, T>, b: MatrixView<'_, T>, target: &mut [T]) -> Result<()> {
    let (rows, inner, cols) = (a.rows(), a.cols(), b.cols());
    if inner != b.rows() || rows.checked_mul(cols) != Some(target.len()) {
        let what = format!("{rows} x {inner} times {} x {cols} does not fit {} elements", b.rows(), target.len());
        return Err(shape_error(what));
    }
    if target.is_empty() || inner == 0 {
        target.fill(T::default());
        return Ok(());
    }
    let (a, b) = (a.as_faer(), b.as_faer());
    target.par_chunks_mut(BLOCK_ROWS * cols).enumerate().for_each(|(block, target)| {
        let block_rows = target.len() / cols;
        let part = a.subrows(block * BLOCK_ROWS, block_rows);
        let target = MatMut::from_row_major_slice_mut(target, block_rows, cols);
        faer_matmul(target, Accum::Replace, part, b, T::from_f64(1.0), Par::Seq);
    });
    Ok(())
}

/// A truncated singular value decomposition, `a ~ u * diag(singular_values) * vt`.
#[derive(Clone, Debug, PartialEq)]
pub struct Svd<T> {
    /// Left singular vectors as columns: rows x rank.
    pub u: Vec<T>,
    /// Largest first, none negative.
    pub singular_values: Vec<T>,
    /// Right singular vectors as rows: rank x cols.
    pub vt: Vec<T>,
}

/// The `rank` largest singular values of a matrix and their vectors.
///
/// Singular vectors are orthonormal, and the reconstruction of full rank is within a small multiple of `eps * |a|`. Their
/// sign is free; here the element of largest magnitude of each right vector is positive (the first of equal ones), as
/// `svd_flip(u_based_decision=False)` of scikit-learn has it. Vectors of equal singular values are not unique.
///
/// Fails with `InvalidArgument` when an element is NaN or infinite, with its place, or when numbers are so large that a
/// result is; when `rank` is not 1..=min(rows, cols) (an empty matrix has no rank). Fails with `OutOfMemory` where the
/// work space, some copies of the matrix, cannot be had.
pub fn svd<T: Real>(a: MatrixView<'_, T>, rank: usize) -> Result<Svd<T>> {
    check_rank(&a, rank)?;
    a.check_finite()?;
    let (all, _) = thin_svd(a)?;
    Ok(all.truncated(a.rows(), a.cols(), rank))
}

impl<T: Real> Svd<T> {
    /// `u * diag(singular_values) * vt` into `target`, row-major. Fails with `InvalidShape` unless it fits.
    pub fn reconstruct(&self, target: &mut [T]) -> Result<()> {
        let rank = self.singular_values.len();
        if rank == 0 || !self.u.len().is_multiple_of(rank) || !self.vt.len().is_multiple_of(rank) {
            return Err(shape_error("vectors and singular values do not belong together".into()));
        }
        let (rows, cols) = (self.u.len() / rank, self.vt.len() / rank);
        let mut scaled = self.u.clone();
        for row in scaled.chunks_exact_mut(rank) {
            for (value, sigma) in row.iter_mut().zip(&self.singular_values) {
                *value = T::from_f64(value.to_f64() * sigma.to_f64());
            }
        }
        matmul(MatrixView::new(&scaled, rows, rank)?, MatrixView::new(&self.vt, rank, cols)?, target)
    }

    fn truncated(mut self, rows: usize, cols: usize, rank: usize) -> Self {
        let full = self.singular_values.len();
        for row in 1..rows {
            self.u.copy_within(row * full..row * full + rank, row * rank);
        }
        self.u.truncate(rows * rank);
        self.singular_values.truncate(rank);
        self.vt.truncate(rank * cols);
        self
    }
}

/// Principal components of rows of observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca<T> {
    /// Mean of each column, summed in f64.
    pub mean: Vec<T>,
    /// Directions as rows, orthonormal, of largest variance first: count x cols. Signs as in [`svd`].
    pub components: Vec<T>,
    /// Variance along each direction, with divisor `rows - 1`.
    pub explained_variance: Vec<T>,
    /// The same as a part of the variance of all columns; 0 where that is 0.
    pub explained_variance_ratio: Vec<T>,
}

/// The first `count` principal components of a matrix whose rows are observations: the singular value decomposition of
/// the matrix less its column means (Jolliffe, "Principal Component Analysis", section 3.5).
///
/// Fails as [`svd`], and with `InvalidArgument` for fewer than two rows.
pub fn pca<T: Real>(a: MatrixView<'_, T>, count: usize) -> Result<Pca<T>> {
    check_rank(&a, count)?;
    if a.rows() < 2 {
        return Err(Error::invalid_argument("principal components need at least two rows"));
    }
    a.check_finite()?;
    let (rows, cols) = (a.rows(), a.cols());
    let mean: Vec<T> = (0..cols)
        .map(|col| {
            let sum: f64 = (0..rows).filter_map(|row| a.get(row, col)).map(Real::to_f64).sum();
            T::from_f64(sum / rows as f64)
        })
        .collect();
    let centered = centered(&a, &mean)?;
    let (all, total) = thin_svd(MatrixView::new(&centered, rows, cols)?)?;
    let all = all.truncated(rows, cols, count);
    let variance = |sigma: &T| sigma.to_f64() * sigma.to_f64();
    let ratio = |sigma: &T| if total > 0.0 { variance(sigma) / total } else { 0.0 };
    Ok(Pca {
        mean,
        explained_variance: all.singular_values.iter().map(|s| T::from_f64(variance(s) / (rows - 1) as f64)).collect(),
        explained_variance_ratio: all.singular_values.iter().map(|s| T::from_f64(ratio(s))).collect(),
        components: all.vt,
    })
}

impl<T: Real> Pca<T> {
    /// Coordinates of observations along the components, `(a - mean) * components^T`, into `target` (row-major,
    /// `a.rows() x count`). Fails with `InvalidShape` when dimensions do not fit.
    pub fn transform(&self, a: MatrixView<'_, T>, target: &mut [T]) -> Result<()> {
        let (count, cols) = (self.explained_variance.len(), self.mean.len());
        project_rows(a, &self.mean, MatrixView::new(&self.components, count, cols)?, target)
    }
}

/// As [`Pca::transform`], with a mean and components that were kept: `components` is `count x a.cols()`.
pub fn project_rows<T: Real>(
    a: MatrixView<'_, T>,
    mean: &[T],
    components: MatrixView<'_, T>,
    target: &mut [T],
) -> Result<()> {
    let cols = a.cols();
    if mean.len() != cols || components.cols() != cols {
        let (mean, components) = (mean.len(), components.cols());
        return Err(shape_error(format!("rows of {cols} elements, a mean of {mean}, components of {components}")));
    }
    let centered = centered(&a, mean)?;
    matmul(MatrixView::new(&centered, a.rows(), cols)?, components.transpose(), target)
}

fn shape_error(what: String) -> Error {
    Error::new(ErrorKind::InvalidShape, what)
}

fn check_rank<T: Real>(a: &MatrixView<'_, T>, rank: usize) -> Result<()> {
    let largest = a.rows().min(a.cols());
    if a.is_empty() || !(1..=largest).contains(&rank) {
        let what = format!("a {} x {} matrix has no {rank} singular vectors", a.rows(), a.cols());
        return Err(Error::invalid_argument(what).hint("ask for 1 to the smaller dimension"));
    }
    Ok(())
}

fn centered<T: Real>(a: &MatrixView<'_, T>, mean: &[T]) -> Result<Vec<T>> {
    let mut centered = zeroed(a.rows() * a.cols())?;
    for (row, target) in centered.chunks_exact_mut(a.cols().max(1)).enumerate() {
        for (col, (target, mean)) in target.iter_mut().zip(mean).enumerate() {
            let value = a.get(row, col).unwrap_or_default();
            *target = T::from_f64(value.to_f64() - mean.to_f64());
        }
    }
    Ok(centered)
}

/// All singular values and vectors of a finite, non-empty matrix, signs fixed, and the sum of the squared values.
fn thin_svd<T: Real>(a: MatrixView<'_, T>) -> Result<(Svd<T>, f64)> {
    let (rows, cols) = (a.rows(), a.cols());
    let full = rows.min(cols);
    let (mut u, mut v, mut sigma) = (zeroed(rows * full)?, zeroed(cols * full)?, zeroed(full)?);
    let thin = ComputeSvdVectors::Thin;
    let scratch = svd_scratch::<T>(rows, cols, thin, thin, Par::Seq, Default::default());
    let mut memory = MemBuffer::try_new(scratch)
        .map_err(|_| Error::new(ErrorKind::OutOfMemory, "no memory for the work space of a decomposition"))?;
    let sigma_column = faer::ColMut::from_slice_mut(&mut sigma);
    // faer wants columns side by side; a column-major `v` is a row-major `vt`.
    let outcome = faer_svd(
        a.as_faer(),
        sigma_column.as_diagonal_mut(),
        Some(MatMut::from_column_major_slice_mut(&mut u, rows, full)),
        Some(MatMut::from_column_major_slice_mut(&mut v, cols, full)),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    );
    let is_finite = |values: &[T]| values.iter().all(|value| value.to_f64().is_finite());
    if outcome.is_err() || !is_finite(&sigma) || !is_finite(&u) || !is_finite(&v) {
        let what = format!("the decomposition of a {rows} x {cols} matrix did not converge");
        return Err(Error::invalid_argument(what).hint("the numbers may be too large or too small for their type"));
    }
    for (u, v) in u.chunks_exact_mut(rows).zip(v.chunks_exact_mut(cols)) {
        let mut largest = 0.0;
        for value in v.iter().map(|value| value.to_f64()) {
            if value.abs() > f64::abs(largest) {
                largest = value;
            }
        }
        if largest < 0.0 {
            u.iter_mut().chain(v).for_each(|value| *value = -*value);
        }
    }
    let mut u_rows = zeroed(rows * full)?;
    for (row, target) in u_rows.chunks_exact_mut(full).enumerate() {
        for (col, target) in target.iter_mut().enumerate() {
            *target = u[col * rows + row];
        }
    }
    let total = sigma.iter().map(|value| value.to_f64() * value.to_f64()).sum();
    Ok((Svd { u: u_rows, singular_values: sigma, vt: v }, total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random::Random;

    fn random<T: Real>(len: usize, seed: u64) -> Vec<T> {
        let mut random = Random::new(seed);
        (0..len).map(|_| T::from_f64((random.next_u64() >> 40) as f64 / (1 << 23) as f64 - 1.0)).collect()
    }

    /// The product by its definition, in f64, and the sum of magnitudes that scales its error.
    fn product<T: Real>(a: MatrixView<'_, T>, b: MatrixView<'_, T>) -> Vec<(f64, f64)> {
        let mut target = Vec::new();
        for row in 0..a.rows() {
            for col in 0..b.cols() {
                let terms = (0..a.cols()).map(|k| a.get(row, k).unwrap().to_f64() * b.get(k, col).unwrap().to_f64());
                target.push(terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs())));
            }
        }
        target
    }

    fn check_product<T: Real>(a: MatrixView<'_, T>, b: MatrixView<'_, T>, eps: f64) {
        let mut target = vec![T::from_f64(f64::NAN); a.rows() * b.cols()];
        matmul(a, b, &mut target).unwrap();
        for (found, (expected, size)) in target.iter().zip(product(a, b)) {
            let bound = (a.cols() as f64 + 1.0) * eps * size;
            assert!((found.to_f64() - expected).abs() <= bound, "{} x {} x {}", a.rows(), a.cols(), b.cols());
        }
    }

    // An edge of a block left out, or a stride taken for a width, shows at sizes that are no multiples of registers.
    #[test]
    fn products_agree_with_their_definition() {
        for (rows, inner, cols) in [(1, 1, 1), (3, 5, 2), (17, 33, 9), (257, 64, 31), (600, 3, 40), (5, 300, 1)] {
            let (a, b) = (random::<f64>(rows * inner, 1), random::<f64>(inner * cols, 2));
            let (a, b) = (MatrixView::new(&a, rows, inner).unwrap(), MatrixView::new(&b, inner, cols).unwrap());
            check_product(a, b, f64::EPSILON);
            check_product(b.transpose(), a.transpose(), f64::EPSILON);
            let (a, b) = (random::<f32>(rows * (inner + 3), 3), random::<f32>(inner * (cols + 1), 4));
            let a = MatrixView::strided(&a, rows, inner, inner + 3).unwrap();
            let b = MatrixView::strided(&b, inner, cols, cols + 1).unwrap();
            check_product(a, b, f64::from(f32::EPSILON));
        }
        let mut zeros = [7.0_f32; 6];
        matmul(MatrixView::new(&[], 2, 0).unwrap(), MatrixView::new(&[], 0, 3).unwrap(), &mut zeros).unwrap();
        assert_eq!(zeros, [0.0; 6]);
        matmul::<f32>(MatrixView::new(&[], 0, 3).unwrap(), MatrixView::new(&[1.0; 3], 3, 1).unwrap(), &mut []).unwrap();
    }

    // Bits that depend on the machine's load cannot be compared, stored or debugged.
    #[test]
    fn the_bits_do_not_depend_on_the_number_of_threads() {
        let (a, b) = (random::<f32>(1000 * 70, 5), random::<f32>(70 * 50, 6));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (a, b) = (MatrixView::new(&a, 1000, 70).unwrap(), MatrixView::new(&b, 70, 50).unwrap());
                let mut target = vec![0.0; 50_000];
                matmul(a, b, &mut target).unwrap();
                (target, svd(a, 5).unwrap(), pca(a, 4).unwrap())
            })
        };
        let one = run(1);
        for threads in [2, 3, 7] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }

    fn check_orthonormal<T: Real>(vectors: MatrixView<'_, T>, tolerance: f64) {
        for (i, (found, _)) in product(vectors, vectors.transpose()).into_iter().enumerate() {
            let expected = if i / vectors.rows() == i % vectors.rows() { 1.0 } else { 0.0 };
            assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
        }
    }

    fn check_svd<T: Real>(rows: usize, cols: usize, eps: f64) {
        let data = random::<T>(rows * cols, (rows * 1000 + cols) as u64);
        let a = MatrixView::new(&data, rows, cols).unwrap();
        let rank = rows.min(cols);
        let found = svd(a, rank).unwrap();
        let tolerance = 40.0 * eps * (rows.max(cols) as f64).sqrt();
        check_orthonormal(MatrixView::new(&found.u, rows, rank).unwrap().transpose(), tolerance);
        check_orthonormal(MatrixView::new(&found.vt, rank, cols).unwrap(), tolerance);
        assert!(found.singular_values.windows(2).all(|pair| pair[0] >= pair[1] && pair[1].to_f64() >= 0.0));
        let mut back = vec![T::default(); rows * cols];
        found.reconstruct(&mut back).unwrap();
        let norm = found.singular_values[0].to_f64();
        for (x, y) in data.iter().zip(&back) {
            assert!(
                (x.to_f64() - y.to_f64()).abs() <= tolerance * norm,
                "{rows} x {cols}: {} {}",
                x.to_f64(),
                y.to_f64()
            );
        }
        for vector in found.vt.chunks(cols) {
            let largest = vector.iter().map(|x| x.to_f64()).max_by(|x, y| x.abs().total_cmp(&y.abs())).unwrap();
            assert!(largest > 0.0, "signs are not fixed");
        }
        // Asking for fewer gives the first of them.
        let first = svd(a, 1).unwrap();
        assert!(first.singular_values[0] == found.singular_values[0] && first.vt[..] == found.vt[..cols]);
        assert!(first.u.iter().zip(found.u.chunks(rank)).all(|(x, row)| *x == row[0]));
    }

    #[test]
    fn singular_vectors_are_orthonormal_and_give_the_matrix_back() {
        for (rows, cols) in [(1, 1), (1, 6), (6, 1), (4, 4), (20, 7), (7, 20), (150, 40), (33, 129)] {
            check_svd::<f64>(rows, cols, f64::EPSILON);
            check_svd::<f32>(rows, cols, f64::from(f32::EPSILON));
        }
    }

    #[test]
    fn singular_values_of_known_matrices() {
        let found = svd(MatrixView::new(&[0.0, -3.0, 2.0, 0.0_f64], 2, 2).unwrap(), 2).unwrap();
        assert!((found.singular_values[0] - 3.0).abs() < 1e-15 && (found.singular_values[1] - 2.0).abs() < 1e-15);
        assert!((found.vt[1] - 1.0).abs() < 1e-15 && (found.u[0] + 1.0).abs() < 1e-15);
        let zero = svd(MatrixView::new(&[0.0_f32; 6], 2, 3).unwrap(), 2).unwrap();
        assert_eq!(zero.singular_values, [0.0, 0.0]);
        // Of rank 1: the second value is as good as 0.
        let line: Vec<f64> = (0..12).map(|i| f64::from(i / 3 + 1) * f64::from(i % 3 + 1)).collect();
        let found = svd(MatrixView::new(&line, 4, 3).unwrap(), 2).unwrap();
        assert!((found.singular_values[0] - 420.0_f64.sqrt()).abs() < 1e-13 && found.singular_values[1] < 1e-14);
    }

    // The covariance matrix says the same in another way: its product with a component is variance times component.
    #[test]
    fn components_are_eigenvectors_of_the_covariance() {
        let (rows, cols) = (200, 6);
        let mut data = random::<f64>(rows * cols, 8);
        for (i, value) in data.iter_mut().enumerate() {
            *value = *value * f64::from(6 - (i % cols) as u32) + 10.0;
        }
        let a = MatrixView::new(&data, rows, cols).unwrap();
        let found = pca(a, 3).unwrap();
        check_orthonormal(MatrixView::new(&found.components, 3, cols).unwrap(), 1e-13);
        let covariance = |x: usize, y: usize| {
            let terms = data.chunks(cols).map(|row| (row[x] - found.mean[x]) * (row[y] - found.mean[y]));
            terms.sum::<f64>() / (rows - 1) as f64
        };
        let total: f64 = (0..cols).map(|x| covariance(x, x)).sum();
        for (k, component) in found.components.chunks(cols).enumerate() {
            let variance = found.explained_variance[k];
            for x in 0..cols {
                let image: f64 = (0..cols).map(|y| covariance(x, y) * component[y]).sum();
                assert!((image - variance * component[x]).abs() < 1e-11 * total, "component {k}");
            }
            assert!((found.explained_variance_ratio[k] - variance / total).abs() < 1e-12);
        }
        // Coordinates have mean 0 and the variance that was told.
        let mut coordinates = vec![0.0; rows * 3];
        found.transform(a, &mut coordinates).unwrap();
        for k in 0..3 {
            let column: Vec<f64> = coordinates.chunks(3).map(|row| row[k]).collect();
            let mean = column.iter().sum::<f64>() / rows as f64;
            let variance = column.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (rows - 1) as f64;
            assert!(mean.abs() < 1e-12 && (variance / found.explained_variance[k] - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_cannot_be_decomposed_is_refused() {
        let kind = |result: Result<Svd<f64>>| result.unwrap_err().kind();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let data = [1.0, 2.0, 3.0, 4.0, value, 6.0];
            let a = MatrixView::new(&data, 2, 3).unwrap();
            let error = svd(a, 1).unwrap_err();
            assert!(
                error.what().ends_with("in row 1, column 1") && error.kind() == ErrorKind::InvalidArgument,
                "{error}"
            );
            assert!(pca(a.transpose(), 1).unwrap_err().what().contains("row 1, column 1"));
        }
        let data = [1.0; 6];
        let a = MatrixView::new(&data, 2, 3).unwrap();
        assert_eq!(kind(svd(a, 0)), ErrorKind::InvalidArgument);
        assert_eq!(kind(svd(a, 3)), ErrorKind::InvalidArgument);
        assert_eq!(kind(svd(MatrixView::new(&[], 0, 3).unwrap(), 1)), ErrorKind::InvalidArgument);
        assert!(pca(MatrixView::new(&data, 1, 6).unwrap(), 1).is_err());
        assert!(MatrixView::new(&data, 2, 4).is_err() && MatrixView::new(&data, usize::MAX, 2).is_err());
        assert!(MatrixView::strided(&data, 2, 3, 4).is_err() && MatrixView::strided(&data, 2, 3, 2).is_err());
        assert!(MatrixView::strided(&data, usize::MAX, 1, usize::MAX).is_err());
        assert_eq!(matmul(a, a, &mut [0.0; 4]).unwrap_err().kind(), ErrorKind::InvalidShape);
        assert_eq!(matmul(a, a.transpose(), &mut [0.0; 5]).unwrap_err().kind(), ErrorKind::InvalidShape);
    }
}
