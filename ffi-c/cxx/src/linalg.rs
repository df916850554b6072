//! Matrix products, singular values and principal components, as C++ calls them.

use tensoratom::Result;
use tensoratom::kernels::linalg::{self, MatrixView};

use crate::bridge::ffi::Failure;
use crate::wall::{Failed, wall};

/// The functions of one element type.
macro_rules! linear_algebra {
    ($T:ty: $matmul:ident, $svd:ident, $pca:ident, $transform:ident) => {
        pub(crate) fn $matmul(
            a: &[$T],
            b: &[$T],
            rows: usize,
            inner: usize,
            cols: usize,
            out: &mut [$T],
            failure: &mut Failure,
        ) -> Result<(), Failed> {
            wall(failure, || linalg::matmul(MatrixView::new(a, rows, inner)?, MatrixView::new(b, inner, cols)?, out))
        }

        #[allow(clippy::too_many_arguments)] // the bridge has no structures with type parameters
        pub(crate) fn $svd(
            a: &[$T],
            rows: usize,
            cols: usize,
            rank: usize,
            u: &mut Vec<$T>,
            values: &mut Vec<$T>,
            vt: &mut Vec<$T>,
            failure: &mut Failure,
        ) -> Result<(), Failed> {
            wall(failure, || {
                let found = linalg::svd(MatrixView::new(a, rows, cols)?, rank)?;
                (*u, *values, *vt) = (found.u, found.singular_values, found.vt);
                Ok(())
            })
        }

        #[allow(clippy::too_many_arguments)] // as above
        pub(crate) fn $pca(
            a: &[$T],
            rows: usize,
            cols: usize,
            count: usize,
            mean: &mut Vec<$T>,
            components: &mut Vec<$T>,
            variances: &mut Vec<$T>,
            scores: &mut [$T],
            failure: &mut Failure,
        ) -> Result<(), Failed> {
            wall(failure, || {
                let a = MatrixView::new(a, rows, cols)?;
                let found = linalg::pca(a, count)?;
                if !scores.is_empty() {
                    found.transform(a, scores)?;
                }
                (*mean, *components, *variances) = (found.mean, found.components, found.explained_variance);
                Ok(())
            })
        }

        #[allow(clippy::too_many_arguments)] // as above
        pub(crate) fn $transform(
            a: &[$T],
            rows: usize,
            cols: usize,
            mean: &[$T],
            components: &[$T],
            count: usize,
            scores: &mut [$T],
            failure: &mut Failure,
        ) -> Result<(), Failed> {
            wall(failure, || {
                let components = MatrixView::new(components, count, cols)?;
                linalg::project_rows(MatrixView::new(a, rows, cols)?, mean, components, scores)
            })
        }
    };
}

linear_algebra!(f32: matmul_f32, svd_f32, pca_f32, pca_transform_f32);
linear_algebra!(f64: matmul_f64, svd_f64, pca_f64, pca_transform_f64);
