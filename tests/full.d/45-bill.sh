#!/bin/bash
# The bills of 20 storms of each profile, and of runs with planted bugs, recomputed from their traces alone by a second
# program (tests/tools/recompute_bill): every sum and every loss agrees.
set -euo pipefail
klamm=${KLAMM:-build/release/klamm}
for profile in storm power disk weather; do tests/tools/recompute_bill --storms 20 "$klamm" --profile "$profile"; done
for bug in R1 R2 S1; do tests/tools/recompute_bill --storms 5 "$klamm" --plant "$bug"; done
