#!/bin/bash
# Starts the stand-in for apache/kafka as the real image does: the variable KAFKA_LOG_DIRS is the property log.dirs,
# "__" in a name is "_" and "___" is "-". An empty data folder is formatted first.
set -euo pipefail

properties=/tmp/server.properties
# Compiled for a quick start, as trials end before more would pay.
# shellcheck disable=SC2206 # flags are words
jvm=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 ${KAFKA_HEAP_OPTS:--Xms256m -Xmx512m} ${KAFKA_OPTS:-} -cp "/opt/kafka/libs/*")

: > "$properties"
while IFS='=' read -r -d '' name value; do
  case $name in
    KAFKA_HEAP_OPTS | KAFKA_OPTS) ;;
    KAFKA_*)
      name=${name#KAFKA_}
      name=${name//___/-}
      name=${name//__/%}
      name=${name//_/.}
      name=${name//%/_}
      printf '%s=%s\n' "${name,,}" "$value" >> "$properties"
      ;;
  esac
done < <(env --null)

if [ ! -e "${KAFKA_LOG_DIRS:-/tmp/kafka-logs}/meta.properties" ]; then
  "${jvm[@]}" kafka.tools.StorageTool format -t "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" -c "$properties"
fi
exec "${jvm[@]}" kafka.Kafka "$properties"
