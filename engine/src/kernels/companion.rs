//! Exact inner products of int8 codes: what a search scans instead of the vectors themselves.

use super::dispatch::{self, Present};
use super::entry;
use super::panel::{Tiles, panel_rows};
use super::tile::{I8Plain, I8Raised, Mul};
use super::{Metric, Rows};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};

/// Largest dimension whose inner product always fits `i32`: 131,071 x 128² < 2³¹.
pub const DOT_I8_DIM_MAX: usize = 131_071;

/// Inner products of one vector with every row: `out[r] = Σ query[i] * rows[r * dim + i]`, exact. Reads `rows` once, at
/// the speed of memory.
///
/// Fails with `InvalidShape` unless `query` has `dim` elements, `rows` as many times as `out` has places, and `dim` is
/// at most [`DOT_I8_DIM_MAX`].
pub fn dot_i8_many(query: &[i8], rows: &[i8], dim: usize, out: &mut [i32]) -> Result<()> {
    if query.len() != dim {
        let what = format!("a query of {} elements does not meet rows of {dim}", query.len());
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    batch(dispatch::present(), Rows::one(query)?, rows, out)
}

/// Inner products of several vectors with every row, each pass over memory shared:
/// `out[q * row_count + r] = Σ queries[q * dim + i] * rows[r * dim + i]`, exact. Errors as [`dot_i8_many`]; a `dim` of 0
/// has neither queries nor rows.
pub fn dot_i8_batch(queries: &[i8], rows: &[i8], dim: usize, out: &mut [i32]) -> Result<()> {
    batch(dispatch::present(), Rows::of(dim, queries)?, rows, out)
}

pub(super) fn batch(isa: Present, queries: Rows<'_>, rows: &[i8], out: &mut [i32]) -> Result<()> {
    let dim = queries.dim();
    if dim > DOT_I8_DIM_MAX {
        let what = format!("inner products of {dim} int8 do not fit 32 bits; at most {DOT_I8_DIM_MAX} do");
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    let data = match dim {
        0 if rows.is_empty() => Rows::new(DType::I8, out.len(), 0, &[])?,
        _ => Rows::of(dim, rows)?,
    };
    if queries.rows().checked_mul(data.rows()) != Some(out.len()) {
        let what = format!("{} x {} products do not go into {} places", queries.rows(), data.rows(), out.len());
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    if out.is_empty() {
        return Ok(());
    }
    // The instructions multiply unsigned by signed bytes: rows are raised by 128, which adds 128 Σ query to each sum.
    let raised = |query: usize| -> i32 {
        let sum: i32 = queries.row_bytes(query).iter().map(|&byte| i32::from(byte.cast_signed())).sum();
        sum.wrapping_mul(128)
    };
    let raised: Vec<i32> = (0..queries.rows()).map(raised).collect();
    let (stride, step) = (data.rows(), panel_rows(queries.rows(), &data));
    let mut rest = Vec::new();
    for first in (0..stride).step_by(step) {
        let part = data.slice(first..first + step);
        let tiles = Tiles::<I8Plain, I8Raised, Mul, i32>::new(queries, part, out, first, stride);
        let (queries_done, rows_done) = isa.run(tiles);
        for (q, &raised) in raised.iter().enumerate() {
            let places = &mut out[q * stride + first..][..part.rows()];
            let (tiled, others) = places.split_at_mut(if q < queries_done { rows_done } else { 0 });
            // Wrapping: only the corrected sum is sure to fit.
            tiled.iter_mut().for_each(|place| *place = place.wrapping_sub(raised));
            if others.is_empty() {
                continue;
            }
            rest.resize(others.len(), 0.0);
            entry::scan(isa, Metric::Dot, &queries.row(q), &part.slice(tiled.len()..part.rows()), &mut rest);
            others.iter_mut().zip(&rest).for_each(|(place, &distance)| *place = whole(-distance));
        }
    }
    Ok(())
}

/// A whole number of 32 bits. The lowest bits of its sum with 1.5 * 2^52, unlike a cast, for which there is no vector
/// instruction that saturates as Rust does.
#[inline(always)]
fn whole(x: f64) -> i32 {
    (x + 6_755_399_441_055_744.0).to_bits() as i32
}
