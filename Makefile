# Every target is what CI runs; what is longer than a line is a script in .ci.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down lakehouse lakehouse-down lakehouse-backup lakehouse-restore build test test-lakehouse bench bench-lakehouse bench-delta soak lint fuzz fuzz-delta

help: ## print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## see it work: a small stack, an edit that converges, a container that is healed
	@.ci/demo

demo-down: ## stop the demo and remove its containers; its data stays
	@.ci/demo --down

lakehouse: ## bring the lakehouse of flumen.yaml up, with passwords of its own the first time
	@.ci/lakehouse

lakehouse-down: ## stop the lakehouse and remove its containers; its data stays
	@.ci/lakehouse --down

lakehouse-backup: ## write all databases and objects of the lakehouse to a folder (TO=DIR)
	@.ci/lakehouse --backup $(TO)

lakehouse-restore: ## bring the lakehouse up with what a backup holds, where there is none yet (FROM=DIR)
	@.ci/lakehouse --restore "$(FROM)"

build: ## build bin/flumen-agent
	@.ci/build

test: ## format, vet, staticcheck and all tests, with the engines they need
	@.ci/test

test-lakehouse: ## the whole lakehouse, where there is memory and disk for it (make test calls it)
	@.ci/side-by-side .ci/test-lakehouse

bench: ## measure: a check with nothing to do and a cold start, beside docker compose
	@.ci/bench

bench-lakehouse: ## measure: the lakehouse's images, start, memory, a run with nothing to do, kills
	@.ci/bench-lakehouse

bench-delta: ## measure: how large Delta tables are planned, beside delta-rs and Spark
	@.ci/bench-delta

soak: ## ten minutes of random harm to a running agent (SOAK=1h for longer)
	@.ci/soak

lint: ## format, vet, staticcheck, shellcheck and known vulnerabilities
	@.ci/lint

fuzz: ## every fuzz test for half a minute (FUZZTIME=10m for longer)
	@.ci/fuzz

fuzz-delta: ## random histories of Delta tables, until one is wrong or it is stopped
	@.ci/fuzz-delta
