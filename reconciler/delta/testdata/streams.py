"""streams.py FOLDER: has Spark read small Delta tables as streams, and keeps how far each stream came.

Writes FOLDER/streams.json: of each stream what is in offsets and commits of its checkpoint, by name, and the ids of the tables. It is
run by hand, in the image that .ci/readers builds:

    docker run --rm -v "$PWD/reconciler/delta/testdata:/out" -w /tmp --entrypoint python3 -u root flumen-test/readers /out/streams.py /out
"""
import json
import os
import pathlib
import sys

from pyspark.sql import SparkSession

out, root = sys.argv[1], "/tmp/streams"
spark = (SparkSession.builder.master("local[2]").appName("streams")
         .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
         .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
         .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
         .config("spark.sql.catalogImplementation", "in-memory")
         .config("spark.sql.shuffle.partitions", "1").config("spark.ui.enabled", "false").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")


def insert(table, n):
    for i in range(n):
        spark.sql(f"INSERT INTO delta.`{root}/{table}` VALUES ({i})")


def source(table, **options):
    return spark.readStream.format("delta").option("maxFilesPerTrigger", 1).options(**options).load(f"{root}/{table}")


def drain(name, stream, each=None):
    """Reads all that there is, one file a batch."""
    writer = stream.writeStream.option("checkpointLocation", f"{root}/checkpoints/{name}").trigger(availableNow=True)
    query = (writer.foreachBatch(each) if each else writer.format("noop")).start()
    try:
        query.awaitTermination()
    except Exception as e:
        print(name, "ended:", str(e)[:100], file=sys.stderr)


def fails_at(batch):
    def each(_, n):
        if n == batch:
            raise RuntimeError("the sink is gone")
    return each


for table in "a", "b":
    spark.sql(f"CREATE TABLE delta.`{root}/{table}` (id INT) USING delta TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")
    insert(table, 3)  # versions 1 to 3
drain("snapshot unfinished", source("a"), fails_at(1))  # in the middle of the table as it was at first
drain("first batch", source("a"), fails_at(0))
drain("first batch by version", source("a", startingVersion="1"), fails_at(0))
drain("snapshot", source("a"))
drain("since a version", source("a", startingVersion="1"))
drain("both", source("a").union(source("b")))
drain("changes", source("a", readChangeFeed="true", startingVersion="1"))
drain("of numbers", spark.readStream.format("rate").option("rowsPerSecond", 1).load().selectExpr("CAST(value AS INT) id").union(source("b")))
for table in "a", "b":
    insert(table, 3)  # versions 4 to 6
drain("snapshot", source("a"), fails_at(4))  # goes on, and does not end with what it began
drain("since a version", source("a", startingVersion="1"))
drain("changes", source("a", readChangeFeed="true", startingVersion="1"))

kept = {"ids": {}, "streams": {}}
for table in "a", "b":
    kept["ids"][table] = spark.sql(f"DESCRIBE DETAIL delta.`{root}/{table}`").first()["id"]
for name in sorted(os.listdir(f"{root}/checkpoints")):
    files = kept["streams"][name] = {}
    for path in sorted(pathlib.Path(root, "checkpoints", name).glob("*/*")):
        if path.parent.name in ("offsets", "commits"):
            files[f"{path.parent.name}/{path.name}"] = path.read_bytes().decode("latin-1") if path.suffix == ".crc" else path.read_text()
with open(f"{out}/streams.json", "w") as f:
    json.dump(kept, f, indent=1, ensure_ascii=True)
    f.write("\n")
