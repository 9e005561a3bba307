#!/bin/bash
# SEEDS seeds over hostile but lawful settings: nothing may be red.
set -euo pipefail
exec build/release/klamm swarm --seeds "$SEEDS" --jobs "$JOBS" --goals scenarios/goals.json
