//! Vector math: distances of vectors one by one, one to many and many to many; norms, sums, moments, extremes; arithmetic
//! element by element. Conversions, quantisation, JSON, projections and linear algebra have modules of their own.
//!
//! Functions take [`Rows`] or slices, check dimensions (`InvalidShape` where they differ), and never panic on data. A
//! result never depends on the number of threads. The instruction set is chosen once per process ([`isa`]);
//! [`ISA_VARIABLE`] pins it.
//!
//! ```
//! use tensoratom::kernels::{Metric, Rows, one_to_many, top_k};
//! # fn main() -> tensoratom::Result<()> {
//! let data = [0.0_f32, 1.0, 1.0, 0.0, 0.6, 0.8]; // three vectors of two
//! let mut distances = [0.0; 3];
//! one_to_many(Metric::Cosine, Rows::one(&[1.0_f32, 0.0])?, Rows::of(2, &data)?, &mut distances)?;
//! assert_eq!(top_k(&distances, 2)?, [1, 2]);
//! # Ok(())
//! # }
//! ```

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bits;
mod companion;
mod decode;
mod dispatch;
mod distance;
mod elementwise;
mod entry;
mod float;
mod metric;
mod moments;
mod panel;
mod reduce;
mod rows;
mod scalar;
mod tile;
mod top_k;
mod vector;
mod wide;

pub mod convert;
pub mod curve;
pub mod ggml;
pub mod json;
#[cfg(feature = "linalg")]
pub mod linalg;
pub mod project;
pub mod quantize;

#[cfg(test)]
mod tests;

pub(crate) use decode::{supported as check_arithmetic, widen};

pub use companion::{DOT_I8_DIM_MAX, dot_i8_batch, dot_i8_many};
pub use dispatch::{ISA_VARIABLE, Level, isa};
pub use distance::{distance, many_to_many, one_to_many};
pub use elementwise::{add, fma, lerp, normalize, scale, softmax, sub};
pub use float::Float;
pub use metric::Metric;
pub use moments::Moments;
pub use reduce::{Norm, Reduction, argmax, argmin, centroid, log_sum_exp, max, mean, min, norm, reduce, sum, variance};
pub use rows::Rows;
pub use top_k::top_k;
