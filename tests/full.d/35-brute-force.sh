#!/bin/bash
# A million small histories of each kind, judged by the checkers and by brute force (commits: by the general checker): they agree, and so they do on
# counterexamples. CASES changes the million.
set -euo pipefail
KLAMM_CASES=${CASES:-1000000} build/release/tests/test_checkers "*agree with*"
