#!/bin/bash
# Kafka 4.1's own kafka-dump-log opens what --export-disks wrote, and what a broker left whose logs were compacted or cut
# by retention: every segment's batches are valid and fill the file, indexes agree with their logs, producer snapshots are
# read; klamm dump-log says the same of them. Needs kcat, a JRE (Debian's default-jre-headless), Maven and, the
# first time, Maven Central; where they are missing it fails.
set -euo pipefail
klamm=${KLAMM:-build/release/klamm}
kafka=4.1.0
room=$(mktemp -d)
broker=
trap '[[ -z $broker ]] || kill "$broker" 2>/dev/null || true; rm -rf "$room"' EXIT
for tool in java mvn kcat; do
    command -v "$tool" >/dev/null || { echo "missing: $tool"; exit 1; }
done
cat >"$room/pom.xml" <<POM
<project><modelVersion>4.0.0</modelVersion><groupId>klamm</groupId><artifactId>dump</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>$kafka</version></dependency></dependencies></project>
POM
mvn -q -f "$room/pom.xml" dependency:build-classpath -Dmdep.outputFile="$room/classpath"

# dump FILES...: what kafka-dump-log says of them, in one run; it may complain of none.
dump() {
    local files
    files=$(printf '%s,' "$@")
    java -cp "$(cat "$room/classpath")" kafka.tools.DumpLogSegments --files "${files%,}" >"$room/dump" 2>&1 ||
        { cat "$room/dump"; exit 1; }
    if grep -i "exception\|isvalid: false\|not a valid\|mismatch\|non-consecutive\|out of order" "$room/dump"; then
        echo "in one of $*"
        exit 1
    fi
}

segments=0 indexes=0 snapshots=0
# replica DIRECTORY: all files of one partition.
replica() {
    mapfile -t files < <(find "$1" -name '*.log' -size +0 | sort)
    [[ ${#files[@]} -gt 0 ]] || return 0
    dump "${files[@]}"
    # The sizes that Kafka reads, batch by batch, are the whole files.
    read_bytes=$(sed -n 's/^baseOffset: .* size: \([0-9]*\) .*isvalid: true.*/\1/p' "$room/dump" | awk '{n += $1} END {print n + 0}')
    file_bytes=$(stat -c %s "${files[@]}" | awk '{n += $1} END {print n + 0}')
    [[ $read_bytes -eq $file_bytes ]] || { echo "$1: Kafka reads $read_bytes bytes of $file_bytes"; exit 1; }
    "$klamm" dump-log "${files[@]}" >"$room/ours"
    diff <(grep ^baseOffset "$room/dump") <(grep ^baseOffset "$room/ours") | head -n 5 >"$room/differ"
    [[ ! -s $room/differ ]] || { echo "klamm dump-log says otherwise:"; cat "$room/differ"; exit 1; }
    segments=$((segments + ${#files[@]}))
    mapfile -t files < <(find "$1" \( -name '*.index' -o -name '*.timeindex' \) -size +0 | sort)
    [[ ${#files[@]} -eq 0 ]] || { dump "${files[@]}"; "$klamm" dump-log "${files[@]}" >"$room/ours"; }
    indexes=$((indexes + ${#files[@]}))
    mapfile -t files < <(find "$1" -name '*.snapshot' | sort)
    [[ ${#files[@]} -eq 0 ]] || { dump "${files[@]}"; "$klamm" dump-log "${files[@]}" >"$room/ours"; }
    snapshots=$((snapshots + ${#files[@]}))
}

for seed in 1 2 3; do
    disks=$room/$seed
    "$klamm" sim --seed "$seed" --profile weather --length 20s --export-disks "$disks" >"$room/report" ||
        { cat "$room/report"; exit 1; }
    while read -r one; do replica "$one"; done < <(find "$disks" -type d -name 'trial-*')
done

# aged POLICY SETTINGS...: a broker with five segments of 300 keys, until its cleaner or retention has been at work.
aged() {
    local port data=$room/$1 settings=(--set "log.cleanup.policy=$1")
    port=$(tests/tools/free_ports 2)
    for setting in "${@:2}"; do settings+=(--set "$setting"); done
    "$klamm" broker --listen "127.0.0.1:$port" --dir "$data" --topic trial --set log.segment.bytes=1048576 \
        --set replica.high.watermark.checkpoint.interval.ms=300 "${settings[@]}" >"$room/log" 2>&1 &
    broker=$!
    for _ in $(seq 100); do
        kcat -b "127.0.0.1:$port" -L -m 1 >"$room/list" 2>/dev/null && grep -q 'topic "trial"' "$room/list" &&
            ! grep -q 'leader -1' "$room/list" && break
        sleep 0.1
    done
    awk 'BEGIN {for (i = 0; i < 50000; ++i) printf "k%d:%0100d\n", i % 300, i}' |
        kcat -b "127.0.0.1:$port" -P -t trial -p 0 -K: -X enable.idempotence=true
    for _ in $(seq 300); do
        [[ $(find "$data" -name '*.log' -path '*trial-0*' -size +0 -printf '%s\n' | awk '{n += $1} END {print n + 0}') -gt 2500000 ]] ||
            break
        sleep 0.1
    done
    kcat -b "127.0.0.1:$port" -C -t trial -p 0 -o beginning -e -q -K: >"$room/read"
    kill "$broker"
    wait "$broker"
    broker=
    [[ $(find "$data" -name '*.log' -path '*trial-0*' -printf '%s\n' | awk '{n += $1} END {print n}') -lt 2500000 ]] ||
        { echo "$1: nothing was taken away"; cat "$room/log"; exit 1; }
    replica "$(find "$data" -type d -name trial-0)"
    "$klamm" dump-log $(find "$data" -maxdepth 3 -name '*-checkpoint') >"$room/checkpoints"
}
aged compact log.cleaner.backoff.ms=300 log.cleaner.min.cleanable.ratio=0.01
# Each key's last value is there.
[[ $(sort -t: -k2 "$room/read" | awk -F: '{last[$1] = $2} END {for (k in last) if (last[k] >= 49700) ++n; print n}') -eq 300 ]]
aged delete log.retention.bytes=1500000 log.retention.check.interval.ms=300
grep -q "partition: trial-0 offset: [1-9]" "$room/checkpoints"
echo "kafka-dump-log $kafka opened $segments segments, $indexes indexes, $snapshots producer snapshots"
[[ $segments -gt 0 && $indexes -gt 0 && $snapshots -gt 0 ]]
