"""Adds as many rows to bronze.events as it is told, has a streaming query copy what is new to
bronze.copied, and says what it saw as one line of JSON."""
import json
import socket
import sys
import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.enableHiveSupport().getOrCreate()


def host(_):
    time.sleep(0.5)  # long enough for no executor to take the tasks of another one
    return socket.gethostname()


hosts = sorted(set(spark.sparkContext.parallelize(range(4), 4).map(host).collect()))
for table in ("events", "copied"):
    spark.sql(f"CREATE TABLE IF NOT EXISTS bronze.{table} (id LONG)")
before = spark.table("bronze.events").count()
spark.range(before, before + int(sys.argv[1])).write.mode("append").saveAsTable("bronze.events")
query = (
    spark.readStream.table("bronze.events")
    .writeStream.trigger(availableNow=True)
    .option("checkpointLocation", "s3a://lakehouse/checkpoints/copied")
    .toTable("bronze.copied")
)
query.awaitTermination()
copied = spark.table("bronze.copied")
print(json.dumps({"hosts": hosts, "rows": copied.count(), "different": copied.distinct().count()}))
