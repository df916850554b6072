//! C interface of the engine: converts arguments, calls, converts back. What callers are promised is said in the header.
#![allow(non_camel_case_types)] // names of C, as the header shows them
#![allow(clippy::too_many_arguments)] // C has no options and no slices
#![allow(unreachable_pub)] // exported by name, not by path
#![cfg_attr(fuzzing, no_main)] // the fuzzer takes this file as the root of a program

#[cfg(fuzzing)]
extern crate tensoratom as engine;

// In the order of the header, which is that of a reader: modules between blank lines are sorted, groups are not.
mod handle;
mod wall;

pub mod status;

mod options;
mod store;

mod files;

mod closed;

mod txn;

mod delete;
mod put;

mod read;

mod listing;
mod prefix;

mod changes;
mod report;

mod cancel;

mod vectors;

mod filter;
mod sets;
mod txn_vectors;

mod tier;

pub mod math;

mod aggregate;
mod moments;
mod transform;

mod geometry;
#[cfg(not(fuzzing))] // takes minutes to build with sanitizers
mod linalg;

#[cfg(any(fuzzing, test))]
mod fuzz;
mod memory;
