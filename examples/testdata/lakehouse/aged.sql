-- A table whose files leave it one after the other: by partitions of odd names, and by deletion vectors.
CREATE DATABASE IF NOT EXISTS bronze;
CREATE TABLE bronze.aged (id BIGINT, place STRING) PARTITIONED BY (place)
 TBLPROPERTIES ('delta.enableDeletionVectors' = 'true', 'delta.checkpointInterval' = '2');
INSERT INTO bronze.aged SELECT /*+ COALESCE(1) */ * FROM VALUES (1, 'a b'), (4, 'a b'), (6, 'a b'), (2, '10:30'), (3, 'é');
DELETE FROM bronze.aged WHERE place = '10:30';
DELETE FROM bronze.aged WHERE id = 1;
DELETE FROM bronze.aged WHERE id = 4;
INSERT INTO bronze.aged VALUES (5, 'é');
