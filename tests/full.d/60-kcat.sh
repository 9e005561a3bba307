#!/bin/bash
# kcat against a real broker on loopback: lists topic `trial`, produces to it and consumes the same lines again.
set -euo pipefail
port=${PORT:-19092}
room=$(mktemp -d)
broker=
trap '[[ -z $broker ]] || kill "$broker" 2>/dev/null || true; rm -rf "$room"' EXIT

build/release/klamm broker --set "listeners=PLAINTEXT://127.0.0.1:$port" --set "log.dirs=$room/data" >"$room/log" 2>&1 &
broker=$!
for _ in $(seq 100); do
    kcat -b "127.0.0.1:$port" -L -m 1 >"$room/list" 2>/dev/null && break
    kill -0 "$broker" || { cat "$room/log"; exit 1; }
    sleep 0.1
done
grep -q 'topic "trial"' "$room/list" || { echo "kcat does not list topic trial:"; cat "$room/list" "$room/log"; exit 1; }

for codec in none gzip snappy lz4 zstd; do
    for acks in 0 1 all; do seq -f "$codec-$acks-%05g" 1 500; done >>"$room/sent"
    for acks in 0 1 all; do
        seq -f "$codec-$acks-%05g" 1 500 | kcat -b "127.0.0.1:$port" -P -t trial -p 0 -z "$codec" -X "acks=$acks"
    done
done
kcat -b "127.0.0.1:$port" -C -t trial -p 0 -o beginning -e -q >"$room/received"
# acks=0 is answered by nothing, so the order between two connections is not promised; the records are.
sort -o "$room/sent" "$room/sent"
sort -o "$room/received" "$room/received"
if ! cmp "$room/sent" "$room/received"; then
    diff "$room/sent" "$room/received" | head -n 20
    exit 1
fi
echo "$(wc -l <"$room/sent") records came back as they were sent"
