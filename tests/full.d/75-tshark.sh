#!/bin/bash
# tshark (Debian's package of that name) dissects what --pcap wrote as Kafka: requests and responses of every kind that
# clients send, none of them malformed, resets and the faults themselves visible. Where it is missing this fails.
set -euo pipefail
klamm=${KLAMM:-build/release/klamm}
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
command -v tshark >/dev/null || { echo "missing: tshark"; exit 1; }

# count FILE FILTER: the packets that a display filter leaves.
count() { tshark -r "$1" -d tcp.port==9093,kafka -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -Y "$2" 2>/dev/null | wc -l; }

packets=0 produces=0 fetches=0 resets=0
for seed in 2 3 4; do
    "$klamm" sim --seed "$seed" --length 10s --pcap "$room/run.pcap" >"$room/report" || { cat "$room/report"; exit 1; }
    tshark -r "$room/run.pcap" >/dev/null
    for bad in tcp.checksum.status==0 ip.checksum.status==0 tcp.analysis.lost_segment tcp.analysis.ack_lost_segment; do
        wrong=$(count "$room/run.pcap" "$bad")
        [[ $wrong -eq 0 ]] || { echo "seed $seed: $wrong packets are $bad"; exit 1; }
    done
    faults=$(count "$room/run.pcap" syslog)
    said=$(sed -n 's/^faults: \([0-9]*\) of .*/\1/p' "$room/report")
    [[ $faults -eq $said ]] || { echo "seed $seed: $faults faults in the capture, $said in the report"; exit 1; }
    packets=$((packets + $(count "$room/run.pcap" kafka)))
    produces=$((produces + $(count "$room/run.pcap" 'kafka.api_key == 0')))
    fetches=$((fetches + $(count "$room/run.pcap" 'kafka.api_key == 1')))
    resets=$((resets + $(count "$room/run.pcap" tcp.flags.reset==1)))
done
echo "tshark dissected $packets packets as Kafka, $produces with Produce, $fetches with Fetch; $resets resets"
[[ $produces -gt 100 && $fetches -gt 100 && $resets -gt 0 ]]
