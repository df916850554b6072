//! C interface of the engine: converts arguments, calls, converts back. What callers are promised is said in the header.
#![allow(non_camel_case_types)] // names of C, as the header shows them
#![allow(clippy::too_many_arguments)] // C has no options and no slices
#![allow(unreachable_pub)] // exported by name, not by path
#![cfg_attr(fuzzing, no_main)] // the fuzzer takes this file as the root of a program

#[cfg(fuzzing)]
extern crate tensoratom as engine;

mod aggregate;
mod cancel;
mod changes;
mod delete;
mod filter;
#[cfg(fuzzing)]
mod fuzz;
mod geometry;
mod handle;
#[cfg(not(fuzzing))] // takes minutes to build with sanitizers
mod linalg;
mod listing;
pub mod math;
mod memory;
mod moments;
mod options;
mod prefix;
mod put;
mod read;
mod report;
mod sets;
pub mod status;
mod store;
mod tier;
mod transform;
mod txn;
mod txn_vectors;
mod vectors;
mod wall;
