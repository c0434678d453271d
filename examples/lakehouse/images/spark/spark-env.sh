#!/bin/sh
# Read by every program of Spark before it starts, whoever calls it.
#
# SPARK_LISTEN is a name that this container has in the network where Spark is to listen,
# and in no other. Without it a container of two networks would listen in both, or be called
# by a name that others find in the wrong one.
if [ -n "${SPARK_LISTEN:-}" ]; then
  export SPARK_LOCAL_HOSTNAME="$SPARK_LISTEN"
fi
if [ -z "${SPARK_LOCAL_IP:-}" ]; then
  SPARK_LOCAL_IP=$(getent ahostsv4 "${SPARK_LISTEN:-$(hostname)}" | awk 'NR == 1 {print $1}')
  export SPARK_LOCAL_IP
fi
