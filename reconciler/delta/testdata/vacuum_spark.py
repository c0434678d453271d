# Has Spark say what a VACUUM of a table would remove, with 2 cores, 4 GiB of heap, and as many tasks as that is good for (by
# default there are 10,000 for a list). Prints how many files it names, how many of these are not dead by what they are called,
# how many seconds it took to start and for the VACUUM, and how many MiB the driver had at most.
# usage: vacuum_spark.py TABLE
import glob
import sys
import time

from pyspark.sql import SparkSession

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
files = spark.sql(f"VACUUM delta.`{sys.argv[1]}` RETAIN 168 HOURS DRY RUN").collect()
ended = time.time()


def peak():
    for path in glob.glob("/proc/[0-9]*/status"):
        fields = dict(line.split(":", 1) for line in open(path).read().splitlines())
        if fields["Name"].strip() == "java":
            return int(fields["VmHWM"].split()[0]) / 1024
    return 0


wrong = sum("part-dead" not in f.path and "part-orphan" not in f.path for f in files)
print(f"{len(files)} {wrong} {started - began} {ended - started} {peak()}")
