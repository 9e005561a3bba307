#!/bin/bash
# One-line mutants of the core (MUTANTS of them, 100 unless said), each built and put under swarm: at least 90 of 100 of those
# that are not equivalent must be killed.
set -euo pipefail
exec tests/mutants/run --count "${MUTANTS:-100}" --jobs "$JOBS"
