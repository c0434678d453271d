"""cleaned.py FOLDER: writes a table whose log Delta Lake 4.0.0 cleans up, without a checkpoint for the versions that stay.

It is run by .ci/delta-tables, with that version.
"""
import glob
import os
import sys
import time

from pyspark.sql import SparkSession

root = sys.argv[1]
spark = (SparkSession.builder.master("local[2]").appName("tables")
         .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
         .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
         .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
         .config("spark.sql.catalogImplementation", "in-memory")
         .config("spark.sql.shuffle.partitions", "1").config("spark.databricks.delta.snapshotPartitions", "1").config("spark.ui.enabled", "false").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
t = f"delta.`{root}/cleaned`"
spark.sql(f"CREATE TABLE {t} (id BIGINT, v STRING) USING delta TBLPROPERTIES ('delta.checkpointInterval' = '10')")


def rows(n):
    spark.sql(f"INSERT INTO {t} SELECT id, concat('v', id) FROM range({n}, {n + 1}, 1, 1)")


for n in range(12):
    rows(n)
old = time.time() - 40 * 86400
for i, f in enumerate(sorted(glob.glob(f"{root}/cleaned/_delta_log/*"))):
    os.utime(f, (old + 60 * i, old + 60 * i))
for n in range(12, 20):
    rows(n)
