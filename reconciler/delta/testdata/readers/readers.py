"""readers.py: reads Delta tables with Spark and with delta-rs, and answers questions, one a line.

Each is a list in JSON, and so is its answer. Rows are given as a digest, and what could not be read as the beginning
of the error.

    ["spark" or "delta-rs", TABLE, [VERSION...]]   [{"rows": N, "digest": ...} or {"error": ...}, ...]
    ["changes", TABLE, [FIRST VERSION...]]         the same of the change data since a version
    ["files", TABLE, [VERSION...]]                 the files that each version is made of, by the commits alone
    ["vacuum", TABLE, HOURS]                       the paths that Spark's VACUUM would remove
    ["sql", TABLE, STATEMENT]                      null, when Spark has done it; the statement calls the table {}

Tables in a store are found at the URL in S3_ENDPOINT, with the keys that S3A knows by itself.
"""
import hashlib
import json
import os
import sys
import urllib.parse
import uuid

from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession

spark = (SparkSession.builder.master("local[2]").appName("readers")
         .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
         .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
         .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
         .config("spark.sql.catalogImplementation", "in-memory")
         .config("spark.sql.sources.parallelPartitionDiscovery.parallelism", "2")
         .config("spark.hadoop.fs.s3a.endpoint", os.environ.get("S3_ENDPOINT", "")).config("spark.hadoop.fs.s3a.path.style.access", "true")
         .config("spark.databricks.delta.snapshotPartitions", "1")
         .config("spark.databricks.delta.retentionDurationCheck.enabled", "false")
         # Each table has a handful of rows, so compiling what reads them would take most of the time.
         .config("spark.sql.codegen.wholeStage", "false").config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
         .config("spark.ui.showConsoleProgress", "false").config("spark.sql.shuffle.partitions", "1").config("spark.ui.enabled", "false").getOrCreate())
spark.sparkContext.setLogLevel("OFF")


def digest(rows):
    """Of rows as dictionaries, in whatever order they come."""
    lines = sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)
    return {"rows": len(lines), "digest": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


def tried(read, argument):
    try:
        return digest(read(argument))
    except Exception as e:
        return {"error": str(e)[:300]}


def by_spark(table):
    return lambda version: (row.asDict() for row in spark.read.format("delta").option("versionAsOf", version).load(table).collect())


def changes(table):
    return lambda first: (row.asDict() for row in spark.read.format("delta").option("readChangeFeed", "true")
                          .option("startingVersion", first).load(table).drop("_commit_timestamp").collect())


def by_delta_rs(table):
    def read(version):
        found = QueryBuilder().register("t", DeltaTable(table, version=version)).execute("SELECT * FROM t").read_all()
        columns = {name: found.column(name).to_pylist() for name in found.column_names}
        return [dict(zip(columns, row)) for row in zip(*columns.values())]
    return read


Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def vector_file(vector):
    """Where the vector of a file is kept: after a folder, if there is one, 20 characters stand for a UUID."""
    folder, text, number = vector["pathOrInlineDv"][:-20], vector["pathOrInlineDv"][-20:], b""
    for i in range(0, 20, 5):
        value = 0
        for c in text[i:i + 5]:
            value = value * 85 + Z85.index(c)
        number += value.to_bytes(4, "big")
    return (folder + "/" if folder else "") + f"deletion_vector_{uuid.UUID(bytes=number)}.bin"


def files(table, versions):
    live, found = {}, []
    for version in versions:
        for line in open(f"{table}/_delta_log/{version:020}.json"):
            (name, action), = json.loads(line).items()
            if name in ("add", "remove"):
                vector = action.get("deletionVector")
                key = action["path"], vector and vector["pathOrInlineDv"]
                (live.pop(key, None) if name == "remove" else live.update({key: vector}))
        found.append(sorted({urllib.parse.unquote(path) for path, _ in live} | {vector_file(v) for v in live.values() if v}))
    return found


def answer(what, table, argument):
    if what == "vacuum":
        return [row.path for row in spark.sql(f"VACUUM delta.`{table}` RETAIN {argument} HOURS DRY RUN").collect()]
    if what == "sql":
        spark.sql(argument.format(f"delta.`{table}`")).collect()
        return None
    if what == "files":
        return files(table, argument)
    spark.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    read = {"spark": by_spark, "delta-rs": by_delta_rs, "changes": changes}[what](table)
    return [tried(read, one) for one in argument]


print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(answer(*json.loads(line))), flush=True)
