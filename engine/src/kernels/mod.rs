//! Vector math over plain slices and bytes: safe functions, instruction sets chosen at run time. Knows nothing of stores.

pub mod convert;
pub mod curve;
pub mod ggml;
pub mod json;
#[cfg(feature = "linalg")]
pub mod linalg;
pub mod project;
pub mod quantize;
