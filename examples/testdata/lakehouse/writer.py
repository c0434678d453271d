"""Writes until /tmp/enough is there, without a pause: each round adds a row to bronze.written and
makes a table with it. Ends with how many rounds it made."""
import itertools
import os

from pyspark.sql import SparkSession

spark = SparkSession.builder.enableHiveSupport().getOrCreate()
spark.sql("CREATE TABLE bronze.written (n LONG)")
for n in itertools.count():
    if os.path.exists("/tmp/enough"):
        break
    spark.sql(f"INSERT INTO bronze.written VALUES ({n})")
    spark.sql(f"CREATE TABLE bronze.made_{n} AS SELECT {n} AS n")
print(n)
