#!/bin/bash
# All benchmarks: criterion on the engine itself, then the engine and its rivals, section by section. Raw numbers go to
# benches/results/<date>-<machine>/, the plot of search times beside them.
#
#   benches/run.sh                    everything
#   benches/run.sh growth codecs      these sections of the comparison alone (names: benches/compare/src/main.rs)
set -euo pipefail # a section that fails must not end as an empty table
cd "$(dirname "$0")"
machine=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-$//')
out=results/$(date +%Y-%m-%d)-$machine
mkdir -p "$out"
sections=("$@")
if [ $# = 0 ]; then
  sections=(get million touch ingest commits files memory search wide growth kernels codecs numpy codec)
  (cd .. && cargo build --release --bin tensoratom)
  (cd .. && cargo bench --package tensoratom-benches) | tee "$out/criterion.txt"
  (cd .. && cargo run --release --package tensoratom-benches --example tiers) | tee "$out/tiers.json"
fi
# Some rivals are Python packages; they get the environment that the tests use. ZipNN is given bytes, not torch's tensors.
python=${PYTHON:-../.venv/bin/python}
if [ -z "${PYTHON:-}" ]; then
  make --no-print-directory -C .. .venv/ready
  "$python" -m pip install --quiet --disable-pip-version-check faiss-cpu==1.15.1 numpy blosc2==4.14.1 zstandard==0.25.0
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps zipnn==0.5.4
fi
mkdir -p ../.demo
"$python" -c "import sys; sys.path.insert(0, '../demo'); import demo; from pathlib import Path; demo.fetch_model(Path('../.demo'))"
python=$(realpath --no-symlinks "$python")
for section in "${sections[@]}"; do
  (cd compare && cargo run --release -- --python "$python" --only "$section" --out "../$out/$section.json")
done
if [ $# = 0 ]; then
  # The Python package and its peers, in an environment of their own.
  compare/python/run.sh | tee "$out/python.txt"
fi
