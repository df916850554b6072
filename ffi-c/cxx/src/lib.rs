//! The C++17 interface: a bridge over the engine, on which `include/tensoratom.hpp` builds its classes.

#[allow(unreachable_pub, unused_qualifications)] // the generated half is not ours to style
mod bridge;
mod kernels;
mod store;
mod vectors;
mod wall;
