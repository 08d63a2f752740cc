#!/bin/sh
# Reads the record with jq, sha256sum and openssl alone.
#
#   record.sh verify EXPORT KEY   verifies an export with the public key in a PEM file
#   record.sh follow              reads events of recovery.audit.v1 from standard input, one a line, and prints them
#                                 checked: kcat -C -q -b $KAFKA_BOOTSTRAP_SERVERS -t recovery.audit.v1 | record.sh follow
#
# Ends with status 1 at the first record that is not as it was recorded. A line takes some ms: to verify a large
# export use `python -m shared.ops audit verify`.
set -eu

fail() { echo "$*" >&2; exit 1; }

# Prints chain, number, hash, hash before and type of each line of standard input, and checks its own hash.
checked() {
  while IFS= read -r line; do
    body=${line#*'","record":'}; body=${body%?}
    hash=$(printf %s "$body" | sha256sum | cut -d' ' -f1)
    [ "$line" = "{\"hash\":\"$hash\",\"record\":$body}" ] || { echo "not as it was recorded: $line"; break; }
    printf %s "$body" | jq -r --arg hash "$hash" '[.chain, .number, $hash, .previous, .what // "gap"] | @tsv'
  done
}

# Checks that each record names the one before it in its chain, and prints it.
linked() {
  awk -v again="${1-}" -F'\t' '
    NF < 5 { print; wrong = 1; exit }
    again && $1 in number && $2 <= number[$1] { next }  # a relay may send its last records again
    $1 in number && ($2 != number[$1] + 1 || $4 != hash[$1]) { print $1, $2 ": does not follow record " number[$1]; wrong = 1; exit }
    { number[$1] = $2; hash[$1] = $3; print $1 "\t" $2 "\t" $3 "\t" $5 }
    END { exit wrong }'
}

case "${1-}" in
verify)
  export=$2 key=$3 work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  tail -n 1 "$export/heads.jsonl" > "$work/line"
  line=$(cat "$work/line"); statement=${line#*'"statement":'}
  printf %s "${statement%?}" > "$work/statement"
  printf '%s==' "$(jq -r .signature "$work/line")" | basenc --base64url -d > "$work/signature"
  openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$work/statement" -sigfile "$work/signature" \
    > /dev/null || fail "the last heads are not as they were signed"
  cat "$export"/chains/*.jsonl | checked | linked > "$work/records" || fail "$(tail -n 1 "$work/records")"
  jq -r '.heads[] | "\(.chain)\t\(.number)\t\(.hash)\t"' "$work/statement" |
    while IFS= read -r head; do
      grep -qF "$head" "$work/records" || fail "missing or replaced: $head"
    done
  echo "$(wc -l < "$work/records") records, all as signed at $(jq -r .signed_at "$work/statement")"
  ;;
follow)
  while IFS= read -r event; do
    data=${event#*'"data":'}
    printf '%s}\n' "${data%',"recorded_at":"'*}"
  done | checked | linked again
  ;;
*)
  echo "record.sh verify EXPORT KEY | record.sh follow" >&2
  exit 2
  ;;
esac
