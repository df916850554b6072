#!/bin/sh
# Builds the libraries for release and prints what calls through them cost, as a table.
set -eu
cd "$(dirname "$0")/../.."
release=${CARGO_TARGET_DIR:-target}/release
cargo build --release --package tensoratom-c --package tensoratom-extension --lib
cargo build --release --package tensoratom-c --example calls
"$release/examples/calls" "$release"
