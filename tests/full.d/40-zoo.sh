#!/bin/bash
# Each planted bug must be found by the generic swarm within BUDGET of CPU time from each of five first seeds, and shrunk to at
# most 10 faults and 20 operations in at most 300 replays, each remaining fault needed; without the kinds of faults that it needs
# it must not be found.
set -uo pipefail
klamm=${KLAMM:-build/release/klamm}
wrong=()

# Whether the text on standard input tells of a shrunk run within the bounds.
within_bounds() {
    awk '/ faults of .* operations of .* replays$/ { faults = $1; operations = $5; replays = $9; seen = 1 }
         /^without any one of these faults the run passes$/ { minimal = 1 }
         END { exit !(seen && minimal && faults <= 10 && operations <= 20 && replays <= 300) }'
}

for bug in R1 R2 R4 R7 S1 S7 F1; do
    start=$SECONDS
    for first in 1 1000 20000 300000 4000000; do
        text=$("$klamm" zoo --bug "$bug" --budget "$BUDGET" --first-seed "$first" --shrink) || wrong+=("$bug-from-$first")
        grep -E ' found in |replays$|^without ' <<<"$text"
        within_bounds <<<"$text" || wrong+=("$bug-from-$first-shrunk")
    done
    "$klamm" zoo --bug "$bug" --budget "$BUDGET" --jobs "$JOBS" --without-needed || wrong+=("$bug-without-needed")
    echo "$bug: $((SECONDS - start)) s"
done
echo "not as expected: ${wrong[*]:-none}"
[[ ${#wrong[@]} -eq 0 ]]
