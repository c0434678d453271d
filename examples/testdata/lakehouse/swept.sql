-- A table that one file has left.
CREATE DATABASE IF NOT EXISTS bronze;
CREATE TABLE bronze.swept (id BIGINT);
INSERT INTO bronze.swept SELECT /*+ COALESCE(1) */ * FROM VALUES (1), (2);
DELETE FROM bronze.swept WHERE id = 1;
INSERT INTO bronze.swept VALUES (3);
