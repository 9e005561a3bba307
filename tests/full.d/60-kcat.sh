#!/bin/bash
# kcat against real brokers on loopback, one and then three: lists topic `trial`, produces to it with every codec and acks,
# consumes the same lines again, and once more after the brokers were stopped and started.
set -euo pipefail
port=${PORT:-$(tests/tools/free_ports 4)}  # three brokers and the metadata node
klamm=${KLAMM:-build/release/klamm}
room=$(mktemp -d)
broker=
trap '[[ -z $broker ]] || kill "$broker" 2>/dev/null || true; rm -rf "$room"' EXIT

# start BROKERS: starts them on the data in $room/data and waits for the topic.
start() {
    "$klamm" broker --brokers "$1" --listen "127.0.0.1:$port" --dir "$room/data" --topic trial >>"$room/log" 2>&1 &
    broker=$!
    for _ in $(seq 100); do
        kcat -b "127.0.0.1:$port" -L -m 1 >"$room/list" 2>/dev/null && grep -q 'topic "trial"' "$room/list" &&
            ! grep -q 'leader -1' "$room/list" && return 0
        kill -0 "$broker" || break
        sleep 0.1
    done
    echo "no leader of topic trial:"
    cat "$room/list" "$room/log"
    exit 1
}

stop() {
    kill "$broker"
    wait "$broker"
    broker=
}

# The order between two connections is not promised with acks=0; the records are.
compare() {
    kcat -b "127.0.0.1:$port" -C -t trial -p 0 -o beginning -e -q | sort >"$room/received"
    cmp "$room/sent" "$room/received" || { diff "$room/sent" "$room/received" | head -n 20; exit 1; }
}

for brokers in 1 3; do
    rm -rf "$room/data" "$room/sent"
    start "$brokers"
    for codec in none gzip snappy lz4 zstd; do
        for acks in 0 1 all; do
            seq -f "$codec-$acks-%05g" 1 500 | tee -a "$room/sent" |
                kcat -b "127.0.0.1:$port" -P -t trial -p 0 -z "$codec" -X "acks=$acks"
        done
    done
    sort -o "$room/sent" "$room/sent"
    compare
    stop
    start "$brokers"
    compare
    stop
    echo "$brokers brokers: $(wc -l <"$room/sent") records came back as they were sent, twice"
done
