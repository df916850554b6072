//! Projections onto fixed axes, space-filling curves, grids: coordinates that may be stored and indexed.

use engine::kernels::curve::{Curve, Grid};
use engine::kernels::project::Projection;

use crate::handle;
use crate::memory::{One, apart, input, output, size, span};
use crate::wall::{Failure, Outcome, ta_error, wall};

/// Makes a projection of vectors of `dim` numbers onto three orthonormal axes that never change. Close it with ta_close.
#[unsafe(no_mangle)]
pub extern "C" fn ta_projection_landmarks(dim: u64, projection: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(projection)?;
        out.set(handle::add(0, Projection::landmarks(size(dim)?)?)?)
    })
}

/// Makes a projection onto `axes` directions of random signs, the same for the same seed everywhere.
#[unsafe(no_mangle)]
pub extern "C" fn ta_projection_random(
    dim: u64,
    axes: u64,
    seed: u64,
    projection: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(projection)?;
        out.set(handle::add(0, Projection::random(size(dim)?, size(axes)?, seed)?)?)
    })
}

/// What a projection takes and gives: numbers of a vector, number of axes.
#[unsafe(no_mangle)]
pub extern "C" fn ta_projection_facts(projection: u64, dim: *mut u64, axes: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        apart(&[span(dim, 1), span(axes, 1)], &[])?;
        let (to_dim, to_axes) = (One::at(dim)?, One::at(axes)?);
        let projection = handle::get::<Projection>(projection)?;
        to_dim.set(projection.dim() as u64)?;
        to_axes.set(projection.axes() as u64)
    })
}

/// The direction of an axis, counted from 0: `out` takes as many numbers as a vector has, `count` of them.
#[unsafe(no_mangle)]
pub extern "C" fn ta_projection_axis(
    projection: u64,
    axis: u64,
    out: *mut f64,
    count: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (projection, target) = (handle::get::<Projection>(projection)?, output(out, count)?);
        let direction = projection.axis(size(axis)?);
        let direction = direction.ok_or_else(|| {
            Failure::argument(format!("there is no axis {axis}; the projection has {}", projection.axes()))
        })?;
        if direction.len() != target.len() {
            let what = format!("an axis has {} numbers, {count} places were given", direction.len());
            return Err(Failure::of(engine::ErrorKind::InvalidShape, what));
        }
        target.copy_from_slice(direction);
        Ok(())
    })
}

/// Coordinates of vectors, row by row: `vectors` has rows * dim numbers, `out` takes rows * axes. TA_INVALID_SHAPE for
/// other counts.
#[unsafe(no_mangle)]
pub extern "C" fn ta_project(
    projection: u64,
    vectors: *const f32,
    count: u64,
    out: *mut f64,
    out_count: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        apart(&[span(out, out_count)], &[span(vectors, count)])?;
        let projection = handle::get::<Projection>(projection)?;
        Ok(projection.project(input(vectors, count)?, output(out, out_count)?)?)
    })
}

fn encode(curve: Curve, (cells, axes, bits): (*const u32, u32, u32), out: *mut u64) -> Outcome {
    apart(&[span(out, 1)], &[span(cells, u64::from(axes))])?;
    let to = One::at(out)?;
    to.set(curve.encode(input(cells, u64::from(axes))?, bits)?)
}

/// Morton code of a point of 2, 3 or 4 cell numbers of `bits` bits each, at most 64 bits together.
#[unsafe(no_mangle)]
pub extern "C" fn ta_morton_encode(
    cells: *const u32,
    axes: u32,
    bits: u32,
    out: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || encode(Curve::Morton, (cells, axes, bits), out))
}

/// Place of a point on the Hilbert curve; as ta_morton_encode.
#[unsafe(no_mangle)]
pub extern "C" fn ta_hilbert_encode(
    cells: *const u32,
    axes: u32,
    bits: u32,
    out: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || encode(Curve::Hilbert, (cells, axes, bits), out))
}

/// The point of a Morton code: `cells` takes one number per axis. TA_INVALID_ARGUMENT for a code beyond the bits.
#[unsafe(no_mangle)]
pub extern "C" fn ta_morton_decode(code: u64, axes: u32, bits: u32, cells: *mut u32, error: *mut ta_error) -> i32 {
    wall(error, || Ok(Curve::Morton.decode(code, bits, output(cells, u64::from(axes))?)?))
}

/// The point of a place on the Hilbert curve; as ta_morton_decode.
#[unsafe(no_mangle)]
pub extern "C" fn ta_hilbert_decode(code: u64, axes: u32, bits: u32, cells: *mut u32, error: *mut ta_error) -> i32 {
    wall(error, || Ok(Curve::Hilbert.decode(code, bits, output(cells, u64::from(axes))?)?))
}

/// Cells of coordinates in a grid of 2^bits cells from `min` to `max`; what lies outside falls into the first or the last.
/// TA_INVALID_ARGUMENT for NaN.
#[unsafe(no_mangle)]
pub extern "C" fn ta_grid_cells(
    min: f64,
    max: f64,
    bits: u32,
    values: *const f64,
    count: u64,
    cells: *mut u32,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        apart(&[span(cells, count)], &[span(values, count)])?;
        Ok(Grid::new(min, max, bits)?.cells(input(values, count)?, output(cells, count)?)?)
    })
}

/// Coordinates in the middle of cells of such a grid.
#[unsafe(no_mangle)]
pub extern "C" fn ta_grid_centers(
    min: f64,
    max: f64,
    bits: u32,
    cells: *const u32,
    count: u64,
    values: *mut f64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        apart(&[span(values, count)], &[span(cells, count)])?;
        Ok(Grid::new(min, max, bits)?.centers(input(cells, count)?, output(values, count)?)?)
    })
}
