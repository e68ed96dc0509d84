# The only task runner. `make demo` and `make test` do all the set-up on a fresh machine.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV ?= uv
# What a guard measures must not depend on what the heap went through before it.
STEADY := MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_TOP_PAD_=67108864
COMPILE := $(UV) pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11

.PHONY: help demo test lint type imports bench budgets throughput peers operations fuzz check lock clean packages

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | column -t -s "$$(printf '\t')"

$(READY): pyproject.toml locks/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r locks/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(READY)  ## watch real metrics travel the whole way; Ctrl-C stops it
	$(BIN)/headgate demo $(ARGS)

packages:  # the real Prometheus, node_exporter and VictoriaMetrics, where apt and root allow it; tests say what they miss
	@sh tests/packages.sh

test: $(READY) packages  ## run all the tests
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY)  ## ruff, formatting and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

type: $(READY)  ## mypy, strict
	$(BIN)/mypy

imports: $(READY)  ## who may import whom
	$(BIN)/lint-imports

bench: $(READY)  ## benchmark guards: ratios to the reference and exact work
	$(STEADY) $(BIN)/python -m pytest bench $(ARGS)

budgets: $(READY)  ## measure the guards' budgets anew
	$(STEADY) $(BIN)/python -m pytest bench --write-budgets $(ARGS)

throughput: $(READY)  ## CPU per point and memory of whole processes (ARGS=--json)
	$(BIN)/python -m bench.throughput $(ARGS)

peers: $(READY)  ## CPU per point beside an OpenTelemetry Collector and vmagent (see bench/peers)
	$(BIN)/python -m bench.peers.peers $(ARGS)
fuzz: $(READY)  ## hostile requests through every door (ARGS="--requests 1000000 --seed 7")
	$(BIN)/python -m tests.fuzz $(ARGS)

check: lint type imports test bench  ## everything but the wheel

operations: $(READY)  ## write the generated tables of docs/operations.md anew
	$(BIN)/python -m cli.operations

lock:  ## resolve the dependencies anew (needs uv)
	$(COMPILE) pyproject.toml --extra gateway --output-file locks/gateway.txt
	$(COMPILE) pyproject.toml --extra agent --output-file locks/agent.txt
	$(COMPILE) pyproject.toml --extra operator --output-file locks/operator.txt
	$(COMPILE) pyproject.toml --extra demo --output-file locks/demo.txt
	$(COMPILE) --group build --output-file locks/build.txt
	$(COMPILE) pyproject.toml --extra demo --group dev --output-file locks/dev.txt

clean:  ## remove what the targets made
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks
