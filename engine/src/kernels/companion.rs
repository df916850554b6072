//! Exact inner products of int8 codes: what a search scans instead of the vectors themselves.

use super::Rows;
use super::dispatch::{self, Present};
use super::panel::{Pair, Panel, Sums, panel_rows};
use super::tile::{I8Plain, I8Raised, Mul, Ones};
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
    let mut raised = Vec::with_capacity(queries.rows());
    for query in (0..queries.rows()).map(|q| queries.row(q)) {
        let (sum, ..) = isa.run(Pair::<I8Plain, Ones, Mul, false>::new(&query, &query));
        raised.push((sum as i32).wrapping_mul(128));
    }
    let step = panel_rows(&data);
    for first in (0..data.rows()).step_by(step) {
        let part = data.slice(first..first + step);
        isa.run(Panel(Sums::<I8Plain, I8Raised, Mul, i32>::new(queries, part, out, first, data.rows())));
        for (q, raised) in raised.iter().enumerate() {
            let start = q * data.rows() + first;
            for place in &mut out[start..start + part.rows()] {
                // Wrapping: only the corrected sum is sure to fit.
                *place = place.wrapping_sub(*raised);
            }
        }
    }
    Ok(())
}
