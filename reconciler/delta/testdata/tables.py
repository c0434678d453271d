"""tables.py FOLDER: writes small Delta tables, one for each thing that makes a table special.

It is run by .ci/delta-tables, which packs what comes of it. No test needs Spark.
"""
import sys
import time

from pyspark.sql import SparkSession

root, only = sys.argv[1].rstrip("/"), set(sys.argv[2:])
spark = (SparkSession.builder.master("local[2]").appName("tables")
         .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
         .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
         .config("spark.sql.sources.parallelPartitionDiscovery.parallelism", "2")
         .config("spark.databricks.delta.retentionDurationCheck.enabled", "false")
         .config("spark.sql.warehouse.dir", root + "/warehouse")
         .config("spark.sql.shuffle.partitions", "1").config("spark.ui.enabled", "false").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
sql = spark.sql
ODD = ["a b", "50%", "10:30", "k=v", "ä/ö", "日本", "#?&+", "a%20b", "A%2FA", ""]


def create(table, columns="id BIGINT, v STRING", partition="", **properties):
    """Makes an empty table; property a__b is the Delta property delta.a.b."""
    listed = ", ".join(f"'delta.{k.replace('__', '.')}' = '{v}'" for k, v in properties.items())
    sql(f"CREATE TABLE {table} ({columns}) USING delta"
        + (f" PARTITIONED BY ({partition})" if partition else "")
        + (f" TBLPROPERTIES ({listed})" if listed else ""))


def rows(table, start, stop):
    sql(f"INSERT INTO {table} SELECT id, concat('v', id) FROM range({start}, {stop}, 1, 1)")


def partitions(t):
    """Every file is written, half of them are removed."""
    create(t, "id BIGINT, p STRING", "p")
    for one in ODD, ODD[:5]:
        spark.createDataFrame([(i, p) for i, p in enumerate(one)], "id BIGINT, p STRING").coalesce(1) \
            .write.format("delta").mode("append").save(t[7:-1])
    sql(f"DELETE FROM {t} WHERE p IN ('a b', '50%', '10:30', 'a%20b') OR p IS NULL")


def vectors(t):
    """A file with a first vector, a second one, and none again."""
    create(t, enableDeletionVectors="true", checkpointInterval="3")
    rows(t, 0, 50)
    sql(f"DELETE FROM {t} WHERE id % 10 = 3")
    sql(f"DELETE FROM {t} WHERE id % 10 = 4")
    sql(f"OPTIMIZE {t}")
    rows(t, 50, 60)
    sql(f"DELETE FROM {t} WHERE id = 55")


def vectors_prefixed(t):
    create(t, enableDeletionVectors="true", randomizeFilePrefixes="true")
    rows(t, 0, 50)
    sql(f"DELETE FROM {t} WHERE id % 10 = 3")


def change_data(t):
    create(t, enableChangeDataFeed="true")
    rows(t, 0, 20)
    sql(f"UPDATE {t} SET v = 'new' WHERE id < 5")
    sql(f"DELETE FROM {t} WHERE id = 7")


def column_mapping(t):
    create(t, "id BIGINT, `a b` STRING, p STRING", "p", columnMapping__mode="name", randomizeFilePrefixes="true")
    sql(f"INSERT INTO {t} VALUES (1, 'x', 'one'), (2, 'y', 'two')")
    sql(f"ALTER TABLE {t} RENAME COLUMN `a b` TO c")
    sql(f"DELETE FROM {t} WHERE p = 'one'")


def checkpoint_v2(t):
    spark.conf.set("spark.databricks.delta.checkpoint.partSize", "2")
    create(t, checkpointPolicy="v2", checkpointInterval="3")
    for i in range(6):
        rows(t, i * 4, i * 4 + 4)
    sql(f"DELETE FROM {t} WHERE id < 8")
    rows(t, 100, 101)
    spark.conf.unset("spark.databricks.delta.checkpoint.partSize")


def checkpoint_parts(t):
    spark.conf.set("spark.databricks.delta.checkpoint.partSize", "2")
    create(t, checkpointInterval="3")
    for i in range(6):
        rows(t, i, i + 1)
    sql(f"DELETE FROM {t} WHERE id = 2")
    spark.conf.unset("spark.databricks.delta.checkpoint.partSize")


def restored(t):
    create(t)
    rows(t, 0, 10)
    sql(f"DELETE FROM {t} WHERE id < 5")
    sql(f"RESTORE TABLE {t} TO VERSION AS OF 1")


def cloned(t):
    source = t[:-1] + "_source`"
    create(source)
    rows(source, 0, 10)
    sql(f"CREATE TABLE {t} SHALLOW CLONE {source}")
    rows(t, 10, 12)
    sql(f"DELETE FROM {source} WHERE id < 20")


def clocked(t):
    """With in-commit timestamps from its second version on."""
    create(t)
    sql(f"ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')")
    rows(t, 0, 5)
    sql(f"DELETE FROM {t}")


def merged(t):
    create(t, enableDeletionVectors="true", checkpointInterval="2")
    rows(t, 0, 20)
    rows(t, 20, 40)
    sql(f"MERGE INTO {t} t USING (SELECT id, 'm' v FROM range(35, 45)) s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT *")
    sql(f"OPTIMIZE {t}")


def replaced(t):
    create(t, "id BIGINT, p STRING", "p")
    sql(f"INSERT INTO {t} VALUES (1, 'x'), (2, 'y')")
    spark.createDataFrame([(1, 7)], "id BIGINT, q INT").coalesce(1).write.format("delta").mode("overwrite") \
        .option("overwriteSchema", "true").partitionBy("q").save(t[7:-1])


def hidden_partition(t):
    create(t, "id BIGINT, _p STRING", "_p")
    sql(f"INSERT INTO {t} VALUES (1, 'x'), (2, 'y')")
    sql(f"DELETE FROM {t} WHERE _p = 'x'")


for make in [partitions, vectors, vectors_prefixed, change_data, column_mapping, checkpoint_v2, checkpoint_parts, restored,
             cloned, clocked, merged, replaced, hidden_partition]:
    if only and make.__name__ not in only:
        continue
    began, table = time.time(), f"delta.`{root}/{make.__name__}`"
    make(table)
    print(f"{make.__name__:18} {spark.read.format('delta').load(table[7:-1]).count()} rows, {time.time() - began:.1f} s", flush=True)
