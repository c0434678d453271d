#!/bin/bash
# Succeeds when Trino on this host says that it has started: its port is open long before.
set -eu
exec 3<>/dev/tcp/127.0.0.1/8080
printf 'GET /v1/info HTTP/1.0\r\n\r\n' >&3
grep -q '"starting":false' <&3
