#!/bin/bash
# Kafka 4.1's own kafka-dump-log opens what --export-disks wrote: every segment's batches are valid and fill the file,
# indexes agree with their logs, producer snapshots are read. Needs a JRE (Debian's default-jre-headless), Maven and, the
# first time, Maven Central; where they are missing it fails.
set -euo pipefail
klamm=${KLAMM:-build/release/klamm}
kafka=4.1.0
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
for tool in java mvn; do
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
for seed in 1 2 3; do
    disks=$room/$seed
    "$klamm" sim --seed "$seed" --profile weather --length 20s --export-disks "$disks" >"$room/report" ||
        { cat "$room/report"; exit 1; }
    while read -r replica; do
        mapfile -t files < <(find "$replica" -name '*.log' -size +0 | sort)
        [[ ${#files[@]} -gt 0 ]] || continue
        dump "${files[@]}"
        # The sizes that Kafka reads, batch by batch, are the whole files.
        read_bytes=$(sed -n 's/^baseOffset: .* size: \([0-9]*\) .*isvalid: true.*/\1/p' "$room/dump" | awk '{n += $1} END {print n + 0}')
        file_bytes=$(stat -c %s "${files[@]}" | awk '{n += $1} END {print n + 0}')
        [[ $read_bytes -eq $file_bytes ]] || { echo "$replica: Kafka reads $read_bytes bytes of $file_bytes"; exit 1; }
        segments=$((segments + ${#files[@]}))
        mapfile -t files < <(find "$replica" \( -name '*.index' -o -name '*.timeindex' \) -size +0 | sort)
        [[ ${#files[@]} -eq 0 ]] || dump "${files[@]}"
        indexes=$((indexes + ${#files[@]}))
        mapfile -t files < <(find "$replica" -name '*.snapshot' | sort)
        [[ ${#files[@]} -eq 0 ]] || dump "${files[@]}"
        snapshots=$((snapshots + ${#files[@]}))
    done < <(find "$disks" -type d -name 'trial-*')
done
echo "kafka-dump-log $kafka opened $segments segments, $indexes indexes, $snapshots producer snapshots"
[[ $segments -gt 0 && $indexes -gt 0 && $snapshots -gt 0 ]]
