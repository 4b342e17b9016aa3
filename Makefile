# `make` alone lists what there is.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
BENCH_STAMP := .venv/.installed-bench
PACKAGES := ledger_streams agents tables web

# The folders of `make test` and `make test-slow`, the longest files first: they should not be the last ones to end.
# tests/fault and benchmarks have goals of their own.
TESTS := $(wildcard tests/e2e tests/integration tests/contract tests/model tests/property tests/unit)

# Most of a test is waiting for servers and sessions, so three run at a time, the tests of a file one after the other.
SIDE_BY_SIDE ?= -n 3 --dist loadfile --no-loadscope-reorder
TIMES := .ledger/times

# A worker starts in 0.8 s in place of 0.95 s if Python may keep what it has compiled.
unexport PYTHONDONTWRITEBYTECODE

# The stack of the tests, beside the one of the demo; tests/conftest.py uses the same addresses.
# Another checkout on this machine sets TEST_PORTS_UP: how far its ports are above these.
TEST_PORTS_UP ?= 0
export TEST_PORTS_UP
TEST_STACK := LEDGER_HOME=.ledger/test \
	LEDGER_KAFKA=127.0.0.1:$(shell expr 29192 + $(TEST_PORTS_UP)) \
	LEDGER_POSTGRES=postgresql://ledger@127.0.0.1:$(shell expr 25532 + $(TEST_PORTS_UP))/ledger \
	LEDGER_REDIS=redis://127.0.0.1:$(shell expr 26479 + $(TEST_PORTS_UP))/0

MUTANTS ?=
MINUTES ?= 30
SEED ?= 1
BROKERS ?= 1
EVENTS ?= 1000000

.PHONY: help setup lint dead-code format test test-slow test-times test-stack test-stack-fsync test-fault reference mutants bench bench-postgres soak demo stack-up stack-down lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything in requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or later is needed, $(PYTHON) is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

lint: setup ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES) tests benchmarks
	$(BIN)/lint-imports
	$(BIN)/python -m vulture

dead-code: setup ## Find code that nothing uses (vulture; exceptions with their reasons in vulture_whitelist.py)
	$(BIN)/python -m vulture

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

test: setup test-stack ## Run the quick tests, on real Kafka, PostgreSQL and Redis
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not slow' --junitxml $(TIMES)-quick.xml $(TESTS)

test-slow: setup test-stack ## Run the tests that take long and seldom fail
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m slow --junitxml $(TIMES)-slow.xml $(TESTS)

test-times: setup ## List the twenty slowest tests and files of the last `make test` and `make test-slow`
	@$(BIN)/python -m tests.times $(wildcard $(TIMES)-*.xml)

test-stack: setup
	$(TEST_STACK) $(BIN)/ledger-streams stack up

# Quick tests let PostgreSQL write to disk when it likes; what measures it does not.
test-stack-fsync: test-stack
	@$(BIN)/python -m tests.fsync

test-fault: setup test-stack ## Run the tests that kill things
	@$(BIN)/python -m pytest tests/fault

reference: setup test-stack ## Write docs/reference anew from the code and the migrated schema
	@$(BIN)/python -m tests.reference

mutants: setup test-stack ## Break rules one at a time in a copy, the tests have to see each: MUTANTS="name .."
	@$(BIN)/python -m tests.mutants $(MUTANTS)

bench: $(BENCH_STAMP) test-stack-fsync ## Run all benchmarks, small: JSON and SVG into .ledger/bench, a table in the end
	@$(BIN)/python -m benchmarks all .ledger/bench

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[bench]'
	@touch $@

bench-postgres: setup test-stack-fsync ## Ask the owner's SQL and the analysts' views of a history: EVENTS=n, plans and times as JSON
	@$(BIN)/python -m benchmarks analytics --events $(EVENTS)
	@$(BIN)/python -m benchmarks balances --events $(EVENTS)

soak: setup ## Run nemeses at random: MINUTES=n SEED=s BROKERS=b, exit 1 at a difference
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) --seed $(SEED) --brokers $(BROKERS)

demo: setup ## Run the main job end to end on the local stack
	@$(BIN)/ledger-streams demo

stack-up: setup ## Start the local Kafka, PostgreSQL and Redis
	@$(BIN)/ledger-streams stack up

stack-down: setup ## Stop the local stack and that of the tests; their data stays
	@$(BIN)/ledger-streams stack down
	@$(TEST_STACK) $(BIN)/ledger-streams stack down

lock: setup ## Write requirements.lock anew from pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade --extra dev --strip-extras --no-header --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml

clean: ## Stop the stacks and remove .venv, .ledger and caches
	@if test -x $(BIN)/ledger-streams; then $(MAKE) --no-print-directory stack-down; fi
	rm -rf .venv .ledger .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
