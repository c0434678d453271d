"""large_spark.py FOLDER FILES: makes a table in FOLDER/large whose log Spark has written, of 360 days with so many files each.

To write so many files takes Spark hours. So it writes some, which get many names (hard links), and takes them into a table:
CONVERT TO DELTA. Ten more are written one by one, which ends in a checkpoint in parts; then the files of 60 days are removed,
those of the last one by OPTIMIZE. For each ten files of a live day there is one that no version knows. The names of files say
what becomes of them, as in the other tables for measurements.

All is made sixty days older then: the times of files, and in the log when versions were committed and files removed. The
checkpoint has none of the latter and stays as it is. Prints how many live files the table has, by Spark.
"""
import glob
import os
import re
import shutil
import sys

from pyspark.sql import SparkSession

AGO = 60 * 24 * 3600
DAYS = range(100, 460)
DEAD = range(100, 160)  # the last of them is OPTIMIZE's
SOURCES = 10  # ext4 lets a file have 65,000 names, and there are 390,000 at most

root, files = sys.argv[1], int(sys.argv[2])
source, table = root + "/source", root + "/making"
for path in source, table:
    shutil.rmtree(path, ignore_errors=True)

spark = (SparkSession.builder.master("local[2]").appName("large")
         .config("spark.driver.memory", "4g").config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
         .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
         .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
         .config("spark.sql.catalogImplementation", "in-memory")
         .config("spark.databricks.delta.checkpoint.partSize", str(max(1, 100 * files)))
         .config("spark.databricks.delta.snapshotPartitions", "4").config("spark.sql.shuffle.partitions", "4")
         .config("spark.sql.sources.parallelPartitionDiscovery.parallelism", "8")
         .config("spark.ui.showConsoleProgress", "false").config("spark.ui.enabled", "false").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")


def sql(text):
    print(text, file=sys.stderr)
    return spark.sql(text.replace("TABLE_", f"delta.`{table}`")).collect()


def rows(start, stop):
    return spark.range(start, stop, 1, 1).selectExpr("id", "current_timestamp() at", "concat('name ', id) name")


rows(0, 1000).repartition(SOURCES).write.parquet(source)
sources = sorted(glob.glob(source + "/*.parquet"))


def named(day, n, what):
    os.link(sources[n % len(sources)], f"{table}/day={day}/part-{what}-{n:09}.snappy.parquet")


for day in DAYS:
    os.makedirs(f"{table}/day={day}")
    for n in range(files):
        named(day, day * files + n, "dead" if day in DEAD else "live")

sql(f"CONVERT TO DELTA parquet.`{table}` NO STATISTICS PARTITIONED BY (day STRING)")
for i in range(10):
    rows(1000 + i, 1100 + i).selectExpr("*", f"'{DAYS[-1 - i]}' day").write.format("delta").mode("append").save(table)
for first in range(DEAD[0], DEAD[-1], 10):
    sql(f"DELETE FROM TABLE_ WHERE day BETWEEN '{first}' AND '{min(first + 9, DEAD[-2])}'")
sql(f"OPTIMIZE TABLE_ WHERE day = '{DEAD[-1]}'")
live = sql("DESCRIBE DETAIL TABLE_")[0].numFiles
spark.stop()

for n in range(len(DAYS) * files // 12):  # a tenth of the live ones
    named(DAYS[-1 - n % 300], n, "orphan")
shutil.rmtree(source)
for path in glob.glob(f"{table}/_delta_log/.*.json.crc"):
    os.remove(path)  # the sum of what it was
aged = set()
for folder, _, names in os.walk(table):
    for path in (f"{folder}/{name}" for name in names):
        was = os.stat(path)
        if was.st_ino in aged:
            continue
        if re.search(r"_delta_log/\d+\.json$", path):
            with open(path, "r+") as f:
                text = re.sub(r'"(timestamp|deletionTimestamp)":(\d+)', lambda m: f'"{m[1]}":{int(m[2]) - AGO * 1000}', f.read())
                f.seek(0)
                f.write(text)
        aged.add(was.st_ino)
        os.utime(path, (was.st_atime - AGO, was.st_mtime - AGO))
os.rename(table, root + "/large")
print(live)
