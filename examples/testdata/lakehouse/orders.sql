-- What a Delta table is there for, and a partitioned table of parquet files beside it.
CREATE DATABASE bronze;
CREATE TABLE bronze.orders (id INT, item STRING, amount DECIMAL(10, 2));
INSERT INTO bronze.orders VALUES (1, 'anvil', 10.00), (2, 'bolt', 0.50), (3, 'crate', 7.25);
UPDATE bronze.orders SET amount = 0.75 WHERE id = 2;
DELETE FROM bronze.orders WHERE id = 3;
ALTER TABLE bronze.orders ADD COLUMN note STRING;
-- The source has a column that the table lacks. Delta 4.0.1 ignores the clause WITH SCHEMA EVOLUTION.
SET spark.databricks.delta.schema.autoMerge.enabled = true;
MERGE INTO bronze.orders t
 USING (SELECT 2 AS id, 'bolt' AS item, 0.80 AS amount, 'new' AS note, 'shop' AS origin UNION ALL SELECT 4, 'döner', 9.90, 'hot', 'web') s ON t.id = s.id
 WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *;
RESET spark.databricks.delta.schema.autoMerge.enabled;
SELECT id, item, amount, note, origin FROM bronze.orders ORDER BY id;
SELECT count(*) FROM bronze.orders VERSION AS OF 1;
DESCRIBE HISTORY bronze.orders;
CREATE TABLE bronze.visits (n INT, day DATE) USING parquet PARTITIONED BY (day);
INSERT INTO bronze.visits VALUES (3, DATE'2026-01-01'), (5, DATE'2026-01-02');
ANALYZE TABLE bronze.visits COMPUTE STATISTICS;
SHOW PARTITIONS bronze.visits;
SHOW TBLPROPERTIES bronze.visits;
DESCRIBE EXTENDED bronze.visits;
