#!/bin/sh
# The Python package, as a user installs it, against its peers. Raw numbers go to benches/results/<date>-<machine>/.
set -eu
cd "$(dirname "$0")/../../.."
machine=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1 | tr -cs 'A-Za-z0-9\n' '-' | sed 's/-$//')
environment=${PEERS:-.demo/peers}
mkdir -p .demo
[ -d "$environment" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check ./ffi-python \
  faiss-cpu==1.15.1 lmdb==3.0.0 numkong==7.8.6 safetensors==0.8.0 usearch==2.26.6 zarr==3.1.6
"$environment/bin/python" -c "import sys; sys.path.insert(0, 'demo'); import demo; from pathlib import Path; demo.fetch_model(Path('.demo'))"
"$environment/bin/python" benches/compare/python/compare.py --model .demo/model.safetensors \
  --out "benches/results/$(date +%Y-%m-%d)-$machine/python.json"
