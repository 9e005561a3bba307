#!/bin/bash
# Each planted bug must be found by the generic swarm within BUDGET of CPU time, and shrunk; without the kinds of faults that
# it needs it must not be found.
set -uo pipefail
wrong=()
for bug in R1 R2 R4 R7 S1 S7 F1; do
    start=$SECONDS
    build/release/klamm zoo --bug "$bug" --budget "$BUDGET" --shrink || wrong+=("$bug")
    build/release/klamm zoo --bug "$bug" --budget "$BUDGET" --jobs "$JOBS" --without-needed || wrong+=("$bug-without-needed")
    echo "$bug: $((SECONDS - start)) s"
done
echo "not as expected: ${wrong[*]:-none}"
[[ ${#wrong[@]} -eq 0 ]]
