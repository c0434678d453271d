#!/bin/sh
# Runs Trino, a coordinator that also works, with what is in /etc/trino: jvm.config (options
# of Java, one a line), config.properties, log.properties, catalog/*.properties.
set -eu
[ $# -eq 0 ] || exec "$@"
exec java @/etc/trino/jvm.config \
  -Dconfig=/etc/trino/config.properties -Dlog.levels-file=/etc/trino/log.properties \
  -cp '/opt/trino/lib/*' io.trino.server.TrinoServer
