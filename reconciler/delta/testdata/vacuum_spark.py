# Has Spark say what a VACUUM of a table would remove, with 2 cores, 4 GiB of heap, and as many tasks as that is good for (by
# default there are 10,000 for a list). Writes the names of these files to OUT, one a line, and prints how many seconds it took
# to start and for the VACUUM, and how many MiB the driver had at most.
# usage: vacuum_spark.py FULL|LITE TABLE OUT
import glob
import sys
import time

from pyspark.sql import SparkSession

how, table, out = sys.argv[1:]
began = time.time()
spark = (SparkSession.builder.master("local[2]").appName("vacuum")
         .config("spark.driver.memory", "4g").config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
         .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
         .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
         .config("spark.sql.catalogImplementation", "in-memory")
         .config("spark.databricks.delta.retentionDurationCheck.enabled", "false")
         .config("spark.sql.sources.parallelPartitionDiscovery.parallelism", "8").config("spark.sql.shuffle.partitions", "8")
         .config("spark.ui.showConsoleProgress", "false").config("spark.ui.enabled", "false").getOrCreate())
spark.sparkContext.setLogLevel("OFF")
started = time.time()
files = spark.sql(f"VACUUM delta.`{table}` {how} RETAIN 168 HOURS DRY RUN").collect()
ended = time.time()


def peak():
    for path in glob.glob("/proc/[0-9]*/status"):
        fields = dict(line.split(":", 1) for line in open(path).read().splitlines())
        if fields["Name"].strip() == "java":
            return int(fields["VmHWM"].split()[0]) / 1024
    return 0


with open(out, "w") as names:
    names.writelines(f"{f.path}\n" for f in files)
print(f"{started - began} {ended - started} {peak()}")
