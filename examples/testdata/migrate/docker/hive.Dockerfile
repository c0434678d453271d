FROM flumen-test/sleeper:healthy
LABEL of=hive
