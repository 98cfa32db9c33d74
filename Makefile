# `make` runs the study on the built-in default, `make test` checks everything. Both set up .venv first.
PYTHON ?= python3
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
BIN := .venv/bin

.PHONY: run test coverage check format

run: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES)

test: .venv/ready check
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 3

# of the library by its own tests; a test takes a third more time under it
coverage: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 2 --ignore tests/workflow --cov --cov-report=term --cov-fail-under=85

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
