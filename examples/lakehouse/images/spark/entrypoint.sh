#!/bin/sh
# entrypoint.sh master       the cluster's master
# entrypoint.sh worker       a worker of the cluster, with SPARK_WORKER_CORES and SPARK_WORKER_MEMORY
# entrypoint.sh COMMAND...   anything else, for instance spark-sql
#
# SPARK_LISTEN is the name it listens on and is known by (default: the host's name);
# SPARK_MASTER the address of the master (default: spark://spark-master:7077).
# SPARK_DAEMON_JAVA_OPTS are options of Java for the master and the workers, which do little
# themselves: by default they start quickly and stay small.
set -eu
export SPARK_DAEMON_JAVA_OPTS="${SPARK_DAEMON_JAVA_OPTS:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC}"

name=${SPARK_LISTEN:-$(hostname)}
case $1 in
  master)
    exec spark-class org.apache.spark.deploy.master.Master --host "$name" --port 7077 --webui-port 8080
    ;;
  worker)
    exec spark-class org.apache.spark.deploy.worker.Worker --host "$name" --webui-port 8081 \
      --work-dir /var/lib/spark/work --cores "${SPARK_WORKER_CORES:-2}" --memory "${SPARK_WORKER_MEMORY:-2g}" \
      "${SPARK_MASTER:-spark://spark-master:7077}"
    ;;
  *) exec "$@" ;;
esac
