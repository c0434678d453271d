#!/bin/sh
# entrypoint.sh schema       makes the tables that are missing in the database: a job that ends
# entrypoint.sh metastore    serves Thrift on port 9083
# entrypoint.sh COMMAND...   anything else
#
# Both read what is in /etc/hive: hive-site.xml the server, schema.properties the job.
# HIVE_JVM_OPTS are the server's options for Java.
set -eu
export CLASSPATH='/etc/hive:/opt/hive/lib/*'

case $1 in
  schema)
    # Before the server starts: made by the server itself, when it first needs one, a table
    # waits for the server's own open transaction, for ever.
    exec java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
      -Dlog4j2.configurationFile=/opt/hive/conf/log4j2.properties \
      org.datanucleus.store.schema.SchemaTool -create -api JDO -props /etc/hive/schema.properties /opt/hive/package.jdo
    ;;
  metastore)
    # shellcheck disable=SC2086 # the options are meant to be split
    exec java ${HIVE_JVM_OPTS:--Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1} \
      -Dlog4j2.configurationFile=/opt/hive/conf/log4j2.properties \
      org.apache.hadoop.hive.metastore.HiveMetaStore
    ;;
  *) exec "$@" ;;
esac
