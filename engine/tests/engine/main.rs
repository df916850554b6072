//! The engine from outside, in one binary: linking the engine once per file took minutes of a cold build. Tests that
//! start, fork or kill processes are binaries of their own, beside this folder.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // tests fail loudly

mod api;
mod at;
mod changes;
mod cold;
mod compat;
mod crash;
mod damage;
mod deltas;
mod faults;
mod interchange;
mod model;
mod regressions;
mod search;
mod takeover;
mod vectors;
mod within;
