//! C interface of the engine: converts arguments, calls, converts back. What callers are promised is said in the header.
#![allow(non_camel_case_types)] // names of C, as the header shows them
#![allow(clippy::too_many_arguments)] // C has no options and no slices
#![allow(unreachable_pub)] // exported by name, not by path

mod aggregate;
mod cancel;
mod filter;
mod handle;
pub mod math;
mod memory;
mod options;
mod read;
mod report;
pub mod status;
mod store;
mod tier;
mod transform;
mod txn;
mod txn_vectors;
mod vectors;
mod wall;
