"""Writes that do not end by themselves, for driver.py."""
import itertools
import os


def write(spark, enough):
    """Writes until the file enough is there, without a pause: each round adds a row to bronze.written and makes
    a table with it. Gives how many rounds it made."""
    spark.sql("CREATE TABLE bronze.written (n LONG)")
    for n in itertools.count():
        if os.path.exists(enough):
            return str(n)
        spark.sql(f"INSERT INTO bronze.written VALUES ({n})")
        spark.sql(f"CREATE TABLE bronze.made_{n} AS SELECT {n} AS n")
