//! The program as its users run it: the real binary in directories of its own. One file per thing a user cares about.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly
#![cfg(unix)] // terminals, signals and permissions as Unix has them

mod atoms;
mod check;
mod failures;
mod files;
mod help;
mod interrupt;
mod sql;
mod support;
mod terminal;
mod tiers;
mod vectors;
