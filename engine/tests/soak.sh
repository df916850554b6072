#!/bin/sh
# Runs the randomised tests for some hours, each round with new seeds and ten times the effort: `soak.sh HOURS [SEED]`.
# A round that fails says with which seed; the same seed replays it. Prints a line per round for the ledger in README.md.
set -eu
cd "$(dirname "$0")/../.."
hours=${1:-1}
seed=${2:-$(date +%s)}
end=$(($(date +%s) + $(awk "BEGIN { print int($hours * 3600) }")))
log=target/soak.log
mkdir -p target
cargo test --release --package tensoratom --no-run
while [ "$(date +%s)" -lt "$end" ]; do
  for test in crash damage processes takeover faults model; do
    binary=engine filter="$test::"
    if [ -e "engine/tests/$test.rs" ]; then
      binary=$test filter=
    fi
    if ! TENSORATOM_TEST_SEED=$seed TENSORATOM_TEST_EFFORT=${TENSORATOM_TEST_EFFORT:-10} PROPTEST_CASES=${PROPTEST_CASES:-2000} \
      cargo test --release --quiet --package tensoratom --test "$binary" -- $filter --nocapture >"$log" 2>&1; then
      tail -n 60 "$log"
      echo "soak: $test failed with TENSORATOM_TEST_SEED=$seed"
      exit 1
    fi
    grep -hE 'states$|kills|Tally|syncs failed' "$log" | sed "s/^/seed $seed, $test: /"
  done
  seed=$((seed + 1))
done
echo "soak: done"
