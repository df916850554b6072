//! Aggregates and moments as states that travel, as C++ calls them.

use tensoratom::Result;
use tensoratom::aggregate::Aggregate;
use tensoratom::kernels::Moments;

use crate::bridge::ffi::{Failure, MomentsValue, RowsRef, Value};
use crate::kernels::rows;
use crate::wall::{Failed, wall};

pub(crate) struct State(Aggregate);

pub(crate) fn aggregate_new(kind: &str, failure: &mut Failure) -> Result<Box<State>, Failed> {
    wall(failure, || Ok(Box::new(State(Aggregate::new(kind.parse()?)?))))
}

pub(crate) fn aggregate_import(bytes: &[u8], failure: &mut Failure) -> Result<Box<State>, Failed> {
    wall(failure, || Ok(Box::new(State(Aggregate::from_bytes(bytes)?))))
}

impl State {
    pub(crate) fn aggregate_push(
        &mut self,
        data: RowsRef<'_>,
        weights: &[f64],
        failure: &mut Failure,
    ) -> Result<(), Failed> {
        wall(failure, || self.0.push(rows(&data)?, (!weights.is_empty()).then_some(weights)))
    }

    pub(crate) fn aggregate_merge(&mut self, other: &State, failure: &mut Failure) -> Result<(), Failed> {
        wall(failure, || self.0.merge(&other.0))
    }

    pub(crate) fn aggregate_export(&self, failure: &mut Failure) -> Result<Vec<u8>, Failed> {
        wall(failure, || self.0.to_bytes())
    }

    pub(crate) fn aggregate_finish(&self, failure: &mut Failure) -> Result<Value, Failed> {
        wall(failure, || {
            let none = Value { has_value: false, rows: 0, dim: 0, values: Vec::new(), beside: Vec::new() };
            Ok(self.0.finish()?.map_or(none, |v| Value {
                has_value: true,
                rows: v.rows,
                dim: v.dim,
                values: v.values,
                beside: v.beside,
            }))
        })
    }

    pub(crate) fn aggregate_count(&self) -> u64 {
        self.0.count()
    }

    pub(crate) fn aggregate_reset(&mut self) {
        self.0.reset();
    }

    /// A copy, made by a merge: a state may be large, and `Clone` would abort where memory is short.
    pub(crate) fn aggregate_clone(&self, failure: &mut Failure) -> Result<Box<State>, Failed> {
        wall(failure, || {
            let mut copy = Aggregate::new(self.0.spec())?;
            copy.merge(&self.0)?;
            Ok(Box::new(State(copy)))
        })
    }
}

pub(crate) fn moments_push(state: &[u8], data: RowsRef<'_>, failure: &mut Failure) -> Result<Vec<u8>, Failed> {
    wall(failure, || {
        let mut moments = moments(state)?;
        moments.push(rows(&data)?)?;
        Ok(moments.to_bytes().to_vec())
    })
}

pub(crate) fn moments_merge(a: &[u8], b: &[u8], failure: &mut Failure) -> Result<Vec<u8>, Failed> {
    wall(failure, || {
        let mut merged = moments(a)?;
        merged.merge(&moments(b)?);
        Ok(merged.to_bytes().to_vec())
    })
}

pub(crate) fn moments_finish(state: &[u8], ddof: u64, failure: &mut Failure) -> Result<MomentsValue, Failed> {
    wall(failure, || {
        let m = moments(state)?;
        Ok(MomentsValue { count: m.count(), mean: m.mean(), variance: m.variance(ddof), min: m.min(), max: m.max() })
    })
}

/// No bytes are the state of nothing.
fn moments(state: &[u8]) -> Result<Moments> {
    if state.is_empty() { Ok(Moments::new()) } else { Moments::from_bytes(state) }
}
