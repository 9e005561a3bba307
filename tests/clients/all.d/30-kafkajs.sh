#!/bin/bash
# KafkaJS, from npm: administration, a producer, and a group that reads what was sent (tests/clients/kafkajs_round_trip.js).
# Needs Node and npm, Debian's nodejs and npm.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
for tool in node npm; do
    command -v "$tool" >/dev/null || { echo "missing: $tool"; exit 1; }
done
npm install --silent --no-audit --no-fund --prefix "$room" kafkajs@2.2.4
NODE_PATH=$room/node_modules python3 tests/clients/with_broker.py node tests/clients/kafkajs_round_trip.js
