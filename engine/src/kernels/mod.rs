//! Vector math over plain slices and bytes: safe functions, instruction sets chosen at run time. Knows nothing of stores.

pub mod convert;
pub mod ggml;
pub mod json;
pub mod quantize;
