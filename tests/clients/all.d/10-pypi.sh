#!/bin/bash
# PyPI's clients in a virtual environment of their own: confluent-kafka and kafka-python do what Debian's do, aiokafka a
# round trip. Which versions is printed.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" -q --disable-pip-version-check install confluent-kafka kafka-python aiokafka
"$room/venv/bin/pip" list --disable-pip-version-check 2>/dev/null | grep kafka
"$room/venv/bin/python" tests/clients/test_librdkafka.py
"$room/venv/bin/python" tests/clients/test_kafka_python.py
"$room/venv/bin/python" tests/clients/aiokafka_round_trip.py
