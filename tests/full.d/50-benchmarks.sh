#!/bin/bash
# Every program tests/bench/run_*, with its figures on standard output.
set -euo pipefail
shopt -s nullglob
programs=(tests/bench/run_*)
if [[ ${#programs[@]} -eq 0 ]]; then
    echo "skipped: tests/bench holds no run_* program"
    exit 77
fi
for program in "${programs[@]}"; do
    echo "-- $program"
    "$program" build/release
done
