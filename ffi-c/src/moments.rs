//! Moments of numbers, taken in parts and put together: a state of a few bytes in memory of the caller.

use std::ffi::c_void;

use engine::kernels::Moments;

use crate::math::{extent, rows};
use crate::memory::{One, Out, apart, bytes, span};
use crate::wall::{Outcome, ta_error, wall};

/// What a state says.
#[repr(C)]
pub struct ta_moments {
    /// How many numbers were seen.
    pub count: u64,
    /// Mean; NaN of nothing.
    pub mean: f64,
    /// Variance with the divisor asked for; NaN where it is not positive.
    pub variance: f64,
    /// Smallest number; infinity of nothing.
    pub min: f64,
    /// Largest number; minus infinity of nothing.
    pub max: f64,
}

/// Adds every element of rows to a state, NULL with 0 bytes for that of nothing, and hands the new state out: 48 bytes, for
/// any machine. `dtype`, `dim` and `stride` as in ta_cdist.
#[unsafe(no_mangle)]
pub extern "C" fn ta_moments_push(
    state: *const c_void,
    state_bytes: u64,
    dtype: u32,
    dim: u64,
    data: *const c_void,
    rows: u64,
    stride: u64,
    out: *mut c_void,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let matrix = self::rows(data, dtype, rows, dim, stride)?;
        let inputs = [span(state.cast::<u8>(), state_bytes), extent(&matrix)];
        apart(&[span(out.cast::<u8>(), capacity), span(length, 1)], &inputs)?;
        let mut moments = read(state, state_bytes)?;
        moments.push(matrix)?;
        Out::<u8>::sized(out.cast(), capacity, length)?.fill(&moments.to_bytes())
    })
}

/// Puts two states together.
#[unsafe(no_mangle)]
pub extern "C" fn ta_moments_merge(
    a: *const c_void,
    a_bytes: u64,
    b: *const c_void,
    b_bytes: u64,
    out: *mut c_void,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let inputs = [span(a.cast::<u8>(), a_bytes), span(b.cast::<u8>(), b_bytes)];
        apart(&[span(out.cast::<u8>(), capacity), span(length, 1)], &inputs)?;
        let mut moments = read(a, a_bytes)?;
        moments.merge(&read(b, b_bytes)?);
        Out::<u8>::sized(out.cast(), capacity, length)?.fill(&moments.to_bytes())
    })
}

/// What a state says, the variance with the divisor count - ddof.
#[unsafe(no_mangle)]
pub extern "C" fn ta_moments_finish(
    state: *const c_void,
    state_bytes: u64,
    ddof: u64,
    moments: *mut ta_moments,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        apart(&[span(moments, 1)], &[span(state.cast::<u8>(), state_bytes)])?;
        let out = One::at(moments)?;
        let found = read(state, state_bytes)?;
        out.set(ta_moments {
            count: found.count(),
            mean: found.mean(),
            variance: found.variance(ddof),
            min: found.min(),
            max: found.max(),
        })
    })
}

fn read(state: *const c_void, state_bytes: u64) -> Outcome<Moments> {
    if state_bytes == 0 { Ok(Moments::new()) } else { Ok(Moments::from_bytes(bytes(state, state_bytes)?)?) }
}
