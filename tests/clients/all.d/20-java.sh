#!/bin/bash
# The Java client 4.1 and Kafka's tools, from Maven Central (tests/clients/java_tools.py). Needs a JRE, Debian's
# default-jre-headless, and Maven.
set -euo pipefail
kafka=4.1.0
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
for tool in java mvn; do
    command -v "$tool" >/dev/null || { echo "missing: $tool"; exit 1; }
done
dependency() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
cat >"$room/pom.xml" <<POM
<project><modelVersion>4.0.0</modelVersion><groupId>klamm</groupId><artifactId>clients</artifactId><version>1</version>
<dependencies>$(dependency org.apache.kafka kafka_2.13 $kafka)$(dependency org.apache.kafka kafka-tools $kafka)
$(dependency org.slf4j slf4j-simple 1.7.36)</dependencies></project>
POM
mvn -q -f "$room/pom.xml" dependency:build-classpath -Dmdep.outputFile="$room/classpath"
CLASSPATH=$(cat "$room/classpath") python3 tests/clients/java_tools.py
