//! The C++17 interface: a bridge over the engine, on which `include/tensoratom.hpp` builds its classes.

// Lints that the generated half of the bridge does not keep.
mod aggregate;
#[allow(unreachable_pub, unused_qualifications, clippy::multiple_unsafe_ops_per_block, clippy::too_many_arguments)]
mod bridge;
mod geometry;
mod kernels;
mod linalg;
mod store;
mod tier;
mod txn;
mod vectors;
mod wall;
