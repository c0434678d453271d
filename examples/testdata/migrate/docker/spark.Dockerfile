FROM flumen-test/sleeper:healthy
LABEL of=spark
