#!/bin/bash
# Writes a row to PostgreSQL and an object to MinIO, and reads both back. It may
# run again and again.
set -euo pipefail

fail() { echo "roundtrip: $*" >&2; exit 1; }

row() {
  local password wrote read
  password=$(cat /run/secrets/postgres_password)
  export PGPASSWORD=$password PGHOST=postgres PGUSER=$POSTGRES_USER PGDATABASE=$POSTGRES_USER PGOPTIONS='-c client_min_messages=warning'
  wrote=$(date --iso-8601=ns)
  psql -qX -v ON_ERROR_STOP=1 -v note="$wrote" <<'SQL'
CREATE TABLE IF NOT EXISTS roundtrip (note text);
INSERT INTO roundtrip VALUES (:'note');
SQL
  read=$(psql -qXAt -v ON_ERROR_STOP=1 -v note="$wrote" <<< "SELECT note FROM roundtrip WHERE note = :'note'")
  [ "$read" = "$wrote" ] || fail "wrote the row $wrote to PostgreSQL, read '$read'"
  echo "PostgreSQL gave back the row $read"
}

# s3 sends a signed request. The key is read from a file, so that no list of processes shows it.
s3() {
  curl --silent --show-error --fail-with-body --aws-sigv4 aws:amz:us-east-1:s3 \
    --config <(printf 'user = "%s:%s"\n' "$S3_USER" "$(cat /run/secrets/roundtrip_s3_secret)") "$@"
}

object() {
  local bucket=http://minio:9000/quickstart wrote read
  wrote=$(date --iso-8601=ns)
  s3 --request PUT --header 'Content-Type: text/plain' --data-binary "$wrote" "$bucket/roundtrip.txt"
  read=$(s3 "$bucket/roundtrip.txt")
  [ "$read" = "$wrote" ] || fail "wrote the object $wrote to MinIO, read '$read'"
  echo "MinIO gave back the object $read"
}

row
object
