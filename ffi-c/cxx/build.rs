//! Builds the C++ half of the bridge, and tells the tests where its generated header lies.

fn main() {
    cxx_build::bridge("src/bridge.rs").std("c++17").include("include").compile("tensoratom_cxx_bridge");
    for file in ["src/bridge.rs", "include/tensoratom/listener.hpp"] {
        println!("cargo:rerun-if-changed={file}");
    }
    if let Ok(out) = std::env::var("OUT_DIR") {
        println!("cargo:rustc-env=TENSORATOM_CXX_BRIDGE={out}/cxxbridge/include/tensoratom-cxx/src/bridge.rs.h");
    }
}
