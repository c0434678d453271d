"""A driver that stays. Each line of its input is JSON with one key: a text of statements for sql, rows for
stream or flow, a file for write. It answers with one line: the rows of all statements, in cells as spark-sql writes
them, or what stream.py or writer.py give; and what went wrong."""
import json
import re
import sys

from pyspark.sql import SparkSession

from stream import flow, stream
from writer import write

spark = SparkSession.builder.enableHiveSupport().getOrCreate()


def cells(row):
    return "\t".join("NULL" if value is None else str(value) for value in row)


def sql(spark, statements):
    return "".join(cells(row) + "\n" for statement in re.split(r";\s+", statements) for row in spark.sql(statement).collect())


does = {"sql": sql, "stream": stream, "flow": flow, "write": write}
for line in sys.stdin:
    # It knows no more of a table's log than a driver that has just begun.
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    answer = {"told": "", "error": ""}
    try:
        for what, how in json.loads(line).items():
            answer["told"] = does[what](spark, how)
    except Exception as failed:
        answer["error"] = str(failed)
    print(json.dumps(answer), flush=True)
