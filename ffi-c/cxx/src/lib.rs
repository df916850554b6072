//! The C++17 interface: a bridge over the engine, on which `include/tensoratom.hpp` builds its classes.

mod bridge;
mod kernels;
mod store;
mod vectors;
mod wall;
