#!/bin/bash
# Every message of our schema beside Kafka's own definitions of it, 4.1's and 4.2's, as their jars have them. Needs a JRE,
# Maven and, the first time, Maven Central; where they are missing it fails.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
for kafka in 4.1.0 4.2.0; do
    mkdir "$room/$kafka"
    cat >"$room/pom.xml" <<POM
<project><modelVersion>4.0.0</modelVersion><groupId>klamm</groupId><artifactId>schema</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId>
<version>$kafka</version></dependency></dependencies></project>
POM
    mvn -q -f "$room/pom.xml" dependency:build-classpath -Dmdep.outputFile="$room/classpath"
    jar=$(tr : '\n' <"$room/classpath" | grep "/kafka-clients-$kafka.jar$")
    python3 -m zipfile -e "$jar" "$room/$kafka"
done
python3 tests/golden/compare_schema.py "$room/4.1.0" "$room/4.2.0"
