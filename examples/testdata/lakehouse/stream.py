"""Streams of rows, for driver.py."""
import json
import socket
import time


def stream(spark, rows):
    """Adds so many rows to bronze.events, has a streaming query copy what is new to bronze.copied, and gives
    what it saw as JSON."""

    def host(_):  # in here, since executors do not have this file
        time.sleep(0.5)  # long enough for no executor to take the tasks of another one
        return socket.gethostname()

    hosts = sorted(set(spark.sparkContext.parallelize(range(4), 4).map(host).collect()))
    for table in ("events", "copied"):
        spark.sql(f"CREATE TABLE IF NOT EXISTS bronze.{table} (id LONG)")
    before = spark.table("bronze.events").count()
    spark.range(before, before + rows).write.mode("append").saveAsTable("bronze.events")
    query = (
        spark.readStream.table("bronze.events")
        .writeStream.trigger(availableNow=True)
        .option("checkpointLocation", "s3a://lakehouse/checkpoints/copied")
        .toTable("bronze.copied")
    )
    query.awaitTermination()
    copied = spark.table("bronze.copied")
    return json.dumps({"hosts": hosts, "rows": copied.count(), "different": copied.distinct().count()})
