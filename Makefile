# `make` runs the study on the built-in default, `make test` checks everything. Both set up .venv first.
PYTHON ?= python3
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
BIN := .venv/bin

.PHONY: run test check format

run: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES)

# the library's own tests with their coverage; then those that run Snakemake, whose processes are not measured
test: .venv/ready check
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 3 --ignore tests/workflow --cov --cov-report=term --cov-fail-under=85
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 3 tests/workflow

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@
