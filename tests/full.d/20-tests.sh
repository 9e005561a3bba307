#!/bin/bash
# Both builds, all tests, the fuzzers, the hashes.
set -euo pipefail
exec tests/run
