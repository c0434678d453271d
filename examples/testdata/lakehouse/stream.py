"""Streams of rows, for driver.py."""
import json
import socket
import time


def add(spark, rows, files):
    """Adds so many rows to bronze.events, in so many files."""
    before = spark.table("bronze.events").count()
    spark.range(before, before + rows, 1, files).write.mode("append").saveAsTable("bronze.events")


def copy(events, **trigger):
    """A streaming query that copies what is new in bronze.events to bronze.copied, and knows how far it came."""
    return (
        events.table("bronze.events")
        .writeStream.trigger(**trigger)
        .option("checkpointLocation", "s3a://lakehouse/checkpoints/copied")
        .toTable("bronze.copied")
    )


def stream(spark, rows):
    """Adds so many rows to bronze.events, has a streaming query copy what is new to bronze.copied, and gives
    what it saw as JSON."""

    def host(_):  # in here, since executors do not have this file
        time.sleep(0.5)  # long enough for no executor to take the tasks of another one
        return socket.gethostname()

    hosts = sorted(set(spark.sparkContext.parallelize(range(4), 4).map(host).collect()))
    for table in ("events", "copied"):
        spark.sql(f"CREATE TABLE IF NOT EXISTS bronze.{table} (id LONG)")
    add(spark, rows, 2)
    copy(spark.readStream, availableNow=True).awaitTermination()
    copied = spark.table("bronze.copied")
    return json.dumps({"hosts": hosts, "rows": copied.count(), "different": copied.distinct().count()})


def flow(spark, rows):
    """Adds so many rows to bronze.events, and has a streaming query copy one of them every ten seconds. Comes back
    when the first is copied; the query goes on as long as its driver."""
    add(spark, rows, rows)
    query = copy(spark.readStream.option("maxFilesPerTrigger", 1), processingTime="10 seconds")
    while not any(batch["numInputRows"] for batch in query.recentProgress):
        if query.exception():
            raise query.exception()
        time.sleep(0.1)
    return ""
