FROM flumen-test/sleeper:with-health
LABEL of=superset
