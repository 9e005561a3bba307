#!/bin/bash
# Three brokers under three controllers that are a quorum, on loopback: kcat produces and consumes; then all is stopped,
# killed, and each time comes back with everything.
set -euo pipefail
port=${PORT:-$(tests/tools/free_ports 6)}  # three brokers and three controllers
klamm=${KLAMM:-build/release/klamm}
room=$(mktemp -d)
broker=
trap '[[ -z $broker ]] || kill -9 "$broker" 2>/dev/null || true; rm -rf "$room"' EXIT

start() {
    "$klamm" broker --brokers 3 --controllers 3 --listen "127.0.0.1:$port" --dir "$room/data" --topic trial >>"$room/log" 2>&1 &
    broker=$!
    for _ in $(seq 150); do
        kcat -b "127.0.0.1:$port" -L -m 1 >"$room/list" 2>/dev/null && grep -q 'topic "trial"' "$room/list" &&
            ! grep -q 'leader -1' "$room/list" && return 0
        kill -0 "$broker" || break
        sleep 0.1
    done
    echo "no leader of topic trial:"
    cat "$room/list" "$room/log"
    exit 1
}

compare() {
    kcat -b "127.0.0.1:$port" -C -t trial -p 0 -o beginning -e -q | sort >"$room/received"
    cmp "$room/sent" "$room/received" || { diff "$room/sent" "$room/received" | head -n 20; exit 1; }
}

start
seq -f "%05g" 1 1000 | tee "$room/sent" | kcat -b "127.0.0.1:$port" -P -t trial -p 0 -X acks=all
compare
for life in 2 3; do
    if [[ $life == 2 ]]; then
        kill "$broker"
        wait "$broker" || { echo "it did not stop cleanly"; tail "$room/log"; exit 1; }
    else
        kill -9 "$broker"
        wait "$broker" || true
    fi
    start
    compare
done
states=$(cat "$room"/data/controller-*/metadata/__cluster_metadata-0/quorum-state)
[[ $(grep -c leaderEpoch <<<"$states") == 3 || $(grep -o leaderEpoch <<<"$states" | wc -l) == 3 ]]
for i in 1 2 3; do
    size=$(stat -c %s "$room/data/controller-$i/metadata/__cluster_metadata-0/00000000000000000000.log")
    ((size > 0)) || { echo "controller $i has no metadata"; exit 1; }
done
kill "$broker"
wait "$broker"
broker=
echo "three brokers under three controllers: 1000 records through three lives"
