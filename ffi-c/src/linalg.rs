//! Larger mathematics: matrix products, singular values, principal components.

use std::ffi::c_void;

use engine::kernels::linalg::{self, MatrixView, Real};

use crate::math::with_element;
use crate::memory::{Plain, apart, input, output, size, span, zeroed};
use crate::wall::{Failure, Outcome, ta_error, wall};

/// Runs a body with f64 or f32.
macro_rules! with_real {
    ($dtype:expr, $T:ident => $body:expr) => {
        with_element!($dtype, $T of [F64 f64, F32 f32],
            else "linear algebra takes f64 and f32, not {}; convert first" => $body)
    };
}

/// A matrix of the caller and where it lies.
fn matrix<'a, T: Plain + Real>(
    data: *const c_void,
    rows: u64,
    cols: u64,
) -> Outcome<(MatrixView<'a, T>, (usize, u64))> {
    let count = area(rows, cols)?;
    let data = data.cast::<T>();
    Ok((MatrixView::new(input(data, count)?, size(rows)?, size(cols)?)?, span(data, count)))
}

fn area(rows: u64, cols: u64) -> Outcome<u64> {
    rows.checked_mul(cols).ok_or_else(|| Failure::argument("rows * cols is beyond 64 bits"))
}

/// Places of the caller, for values to be copied into once all is computed.
fn place<'a, T: Plain>(out: *mut c_void, count: u64) -> Outcome<(&'a mut [T], (usize, u64))> {
    Ok((output(out.cast::<T>(), count)?, span(out.cast::<T>(), count)))
}

/// The product of a matrix of rows x inner and one of inner x cols, all of f64 or f32 and in C order, on all cores.
#[unsafe(no_mangle)]
pub extern "C" fn ta_matmul(
    dtype: u32,
    rows: u64,
    inner: u64,
    cols: u64,
    a: *const c_void,
    b: *const c_void,
    out: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        with_real!(dtype, T => {
            let ((a, a_span), (b, b_span)) = (matrix::<T>(a, rows, inner)?, matrix::<T>(b, inner, cols)?);
            apart(&[span(out.cast::<T>(), area(rows, cols)?)], &[a_span, b_span])?;
            let (target, _) = place::<T>(out, area(rows, cols)?)?;
            Ok(linalg::matmul(a, b, target)?)
        })
    })
}

/// The `rank` largest singular values of a matrix of rows x cols (f64 or f32), with their vectors: `u` takes rows x rank,
/// `values` rank, `vt` rank x cols. TA_INVALID_ARGUMENT for NaN, infinities, and a rank not in 1..=min(rows, cols).
#[unsafe(no_mangle)]
pub extern "C" fn ta_svd(
    dtype: u32,
    rows: u64,
    cols: u64,
    a: *const c_void,
    rank: u64,
    u: *mut c_void,
    values: *mut c_void,
    vt: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        with_real!(dtype, T => {
            let (a, a_span) = matrix::<T>(a, rows, cols)?;
            let counts = [area(rows, rank)?, rank, area(rank, cols)?];
            let spans: Vec<_> = [u, values, vt].into_iter().zip(counts).map(|(at, n)| span(at.cast::<T>(), n)).collect();
            apart(&spans, &[a_span])?;
            let to = [place::<T>(u, counts[0])?.0, place(values, counts[1])?.0, place(vt, counts[2])?.0];
            let found = linalg::svd(a, size(rank)?)?;
            hand_out(to, [&found.u, &found.singular_values, &found.vt])
        })
    })
}

/// The first `count` principal components of observations in rows (f64 or f32): `mean` takes cols numbers, `components`
/// count x cols, `variances` count. `scores` (may be NULL) takes the observations in their coordinates, rows x count.
/// TA_INVALID_ARGUMENT as ta_svd, and for fewer than two rows.
#[unsafe(no_mangle)]
pub extern "C" fn ta_pca(
    dtype: u32,
    rows: u64,
    cols: u64,
    a: *const c_void,
    count: u64,
    mean: *mut c_void,
    components: *mut c_void,
    variances: *mut c_void,
    scores: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        with_real!(dtype, T => {
            let (a, a_span) = matrix::<T>(a, rows, cols)?;
            let scored = if scores.is_null() { 0 } else { area(rows, count)? };
            let places = [mean, components, variances, scores];
            let counts = [cols, area(count, cols)?, count, scored];
            let spans: Vec<_> = places.into_iter().zip(counts).map(|(at, n)| span(at.cast::<T>(), n)).collect();
            apart(&spans, &[a_span])?;
            let to = [place::<T>(mean, counts[0])?.0, place(components, counts[1])?.0, place(variances, counts[2])?.0];
            let to_scores = place::<T>(scores, scored)?.0;
            let found = linalg::pca(a, size(count)?)?;
            let mut own = zeroed::<T>(to_scores.len())?;
            if !scores.is_null() {
                found.transform(a, &mut own)?;
            }
            hand_out(to, [&found.mean, &found.components, &found.explained_variance])?;
            to_scores.copy_from_slice(&own);
            Ok(())
        })
    })
}

/// Coordinates of further observations along components that ta_pca found: `a` has rows x cols numbers, `mean` cols,
/// `components` count x cols, and `scores` takes rows x count.
#[unsafe(no_mangle)]
pub extern "C" fn ta_pca_transform(
    dtype: u32,
    rows: u64,
    cols: u64,
    a: *const c_void,
    count: u64,
    mean: *const c_void,
    components: *const c_void,
    scores: *mut c_void,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        with_real!(dtype, T => {
            let ((a, a_span), (basis, basis_span)) = (matrix::<T>(a, rows, cols)?, matrix::<T>(components, count, cols)?);
            let (mean, mean_span) = (input(mean.cast::<T>(), cols)?, span(mean.cast::<T>(), cols));
            apart(&[span(scores.cast::<T>(), area(rows, count)?)], &[a_span, basis_span, mean_span])?;
            let (target, _) = place::<T>(scores, area(rows, count)?)?;
            Ok(linalg::project_rows(a, mean, basis, target)?)
        })
    })
}

/// Copies what was found, all of it or nothing.
fn hand_out<T: Plain>(to: [&mut [T]; 3], from: [&[T]; 3]) -> Outcome {
    if to.iter().zip(from).any(|(to, from)| to.len() != from.len()) {
        return Err(Failure::of(engine::ErrorKind::Internal, "a decomposition of another size than asked for"));
    }
    to.into_iter().zip(from).for_each(|(to, from)| to.copy_from_slice(from));
    Ok(())
}
