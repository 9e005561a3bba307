#!/bin/bash
# franz-go, from Go's proxy (tests/clients/franz). Needs the Go that its go.mod names.
set -euo pipefail
room=$(mktemp -d)
trap 'chmod -R u+w "$room"; rm -rf "$room"' EXIT
command -v go >/dev/null || { echo "missing: go"; exit 1; }
cp tests/clients/franz/* "$room"
(cd "$room" && go build -o franz .)
python3 tests/clients/with_broker.py "$room/franz"
