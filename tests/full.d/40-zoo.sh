#!/bin/bash
# Each planted bug must be found by the generic swarm within BUDGET of CPU time.
set -uo pipefail
missed=()
for bug in R1 R2 R4 R7 S1 S7 F1; do
    start=$SECONDS
    if build/release/klamm zoo --bug "$bug" --budget "$BUDGET"; then
        echo "$bug: found in $((SECONDS - start)) s"
    else
        missed+=("$bug")
    fi
done
echo "missed: ${missed[*]:-none}"
[[ ${#missed[@]} -eq 0 ]]
