#!/bin/bash
# A fresh virtual environment, `pip install .` into it, and the module at work: a world, a fault, a verdict, what is wrong told.
# PYTHONS: the interpreters to do it with, CPython from 3.11 on ("python3"). It needs the network, for the build's requirements.
set -euo pipefail
for python in ${PYTHONS:-python3}; do
    room=$(mktemp -d)
    trap 'rm -rf "$room"' EXIT
    "$python" -m venv "$room/venv"
    if ! "$room/venv/bin/pip" install -q . >"$room/log" 2>&1; then
        cat "$room/log"
        grep -qiE 'connection|resolve|timed out' "$room/log" && exit 77
        exit 1
    fi
    (cd "$room" && "$room/venv/bin/python" - <<'PROGRAM'
import sys

import klamm

world = klamm.World(seed=7, topics={"orders": dict(partitions=4, replication=3, min_insync=2)})
assert world.producer().send("orders", key=b"k", value=b"v") == 0
world.crash(world.leader("orders", 0)); world.run(seconds=5)
world.power_loss("all"); world.heal(); world.verdict().raise_if_red()
try:
    world.run(seconds=1)
    sys.exit("a world that is over went on")
except klamm.WorldOver as told:
    print(sys.version.split()[0], klamm.__file__, told)
assert len(klamm.storm(seeds=range(2), profile="calm", length=2, jobs=2)) == 2
PROGRAM
    )
    rm -rf "$room"
done
