//! Projections, space-filling curves and grids, as C++ calls them.

use tensoratom::Result;
use tensoratom::kernels::curve::{Curve, Grid};
use tensoratom::kernels::project;

use crate::bridge::ffi::{Failure, GridRef};
use crate::wall::{Failed, wall};

pub(crate) struct Projection(project::Projection);

pub(crate) fn projection_landmarks(dim: usize, failure: &mut Failure) -> Result<Box<Projection>, Failed> {
    wall(failure, || Ok(Box::new(Projection(project::Projection::landmarks(dim)?))))
}

pub(crate) fn projection_random(
    dim: usize,
    axes: usize,
    seed: u64,
    failure: &mut Failure,
) -> Result<Box<Projection>, Failed> {
    wall(failure, || Ok(Box::new(Projection(project::Projection::random(dim, axes, seed)?))))
}

impl Projection {
    pub(crate) fn projection_dim(&self) -> usize {
        self.0.dim()
    }

    pub(crate) fn projection_axes(&self) -> usize {
        self.0.axes()
    }

    /// Empty past the last axis.
    pub(crate) fn projection_axis(&self, axis: usize) -> &[f64] {
        self.0.axis(axis).unwrap_or_default()
    }

    pub(crate) fn project(&self, vectors: &[f32], out: &mut [f64], failure: &mut Failure) -> Result<(), Failed> {
        wall(failure, || self.0.project(vectors, out))
    }
}

fn curve(is_hilbert: bool) -> Curve {
    if is_hilbert { Curve::Hilbert } else { Curve::Morton }
}

pub(crate) fn curve_encode(is_hilbert: bool, cells: &[u32], bits: u32, failure: &mut Failure) -> Result<u64, Failed> {
    wall(failure, || curve(is_hilbert).encode(cells, bits))
}

pub(crate) fn curve_decode(
    is_hilbert: bool,
    code: u64,
    bits: u32,
    cells: &mut [u32],
    failure: &mut Failure,
) -> Result<(), Failed> {
    wall(failure, || curve(is_hilbert).decode(code, bits, cells))
}

pub(crate) fn grid_cells(
    grid: &GridRef,
    values: &[f64],
    cells: &mut [u32],
    failure: &mut Failure,
) -> Result<(), Failed> {
    wall(failure, || Grid::new(grid.min, grid.max, grid.bits)?.cells(values, cells))
}

pub(crate) fn grid_centers(
    grid: &GridRef,
    cells: &[u32],
    values: &mut [f64],
    failure: &mut Failure,
) -> Result<(), Failed> {
    wall(failure, || Grid::new(grid.min, grid.max, grid.bits)?.centers(cells, values))
}
