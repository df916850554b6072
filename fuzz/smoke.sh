#!/bin/sh
# Runs each fuzz target for some seconds: `fuzz/smoke.sh SECONDS`. Without a nightly toolchain it says so and passes:
# finds of the past are replayed by the ordinary tests.
set -eu
cd "$(dirname "$0")"
seconds=${1:-20}
if ! cargo +nightly --version >/dev/null 2>&1; then
  echo "fuzz-smoke: no nightly toolchain; skipped"
  exit 0
fi
tools=$(cd .. && pwd)/target/tools
if ! command -v cargo-fuzz >/dev/null 2>&1 && [ ! -x "$tools/bin/cargo-fuzz" ]; then
  cargo install cargo-fuzz --locked --quiet --root "$tools"
fi
PATH="$tools/bin:$PATH"
for target in $(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml | grep -v tensoratom); do
  echo "fuzz-smoke: $target, $seconds s"
  mkdir -p "corpus/$target" "regressions/$target" # the fuzzer wants every folder it is given
  cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" "regressions/$target" -- \
    -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=25 -print_final_stats=1 2>&1 |
    tee "corpus/$target.log" | grep -E '^stat::number_of_executed_units|^stat::average_exec_per_sec|ERROR|SUMMARY|panicked' || true
  if grep -qE 'ERROR: |panicked at|SUMMARY: ' "corpus/$target.log"; then
    tail -n 40 "corpus/$target.log"
    exit 1
  fi
  grep -q '^stat::number_of_executed_units' "corpus/$target.log" || { tail -n 20 "corpus/$target.log"; exit 1; }
done
