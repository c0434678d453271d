#!/bin/bash
# Succeeds when MinIO on this host answers its liveness probe. Bash can open the
# connection itself, so the image needs no HTTP client.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${MINIO_PORT:-9000}"
printf 'GET /minio/health/live HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
