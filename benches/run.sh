#!/bin/bash
# All benchmarks: criterion on the engine itself, then the engine and its rivals in one run. Raw numbers go to
# benches/results/<date>-<machine>/. Arguments are passed to the comparison (see benches/compare/src/main.rs).
set -euo pipefail # a section that fails must not end as an empty table
cd "$(dirname "$0")"
machine=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-$//')
out=results/$(date +%Y-%m-%d)-$machine
mkdir -p "$out"
(cd .. && cargo build --release --bin tensoratom)
(cd .. && cargo bench --package tensoratom-benches) | tee "$out/criterion.txt"
(cd .. && cargo run --release --package tensoratom-benches --example tiers) | tee "$out/tiers.json"
# Some rivals are Python packages; they get the environment that the tests use. ZipNN is given bytes, not torch's tensors.
make --no-print-directory -C .. .venv/ready
../.venv/bin/pip install --quiet --disable-pip-version-check faiss-cpu==1.15.1 blosc2==4.14.1 zstandard==0.25.0
../.venv/bin/pip install --quiet --disable-pip-version-check --no-deps zipnn==0.5.4
mkdir -p ../.demo
../.venv/bin/python -c "import sys; sys.path.insert(0, '../demo'); import demo; from pathlib import Path; demo.fetch_model(Path('../.demo'))"
(cd compare && cargo run --release -- --python ../../.venv/bin/python --out "../$out/compare.json" "$@") | tee "$out/compare.txt"
# The Python package and its peers, in an environment of their own.
compare/python/run.sh | tee "$out/python.txt"
