# Two commands do all set-up on a machine with python3: `make run` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TESTS  ?= tests
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: run setup demo test test-long lint format perf lock clean

run: setup            ## serve on SQLite at http://127.0.0.1:8000
	$(BIN)/appliance serve --log-format text

demo: setup           ## a living product in a minute: 30 days of generated traffic, and visitors arriving
	$(BIN)/appliance demo

setup: $(VENV)/.run   ## virtual environment with the locked dependencies

test: $(VENV)/.dev    ## everything but the long soaks
	@tools/system_packages.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not long and not browser" $(TESTS)
	$(BIN)/python -m pytest -m "browser and not long" $(TESTS)  # alone: they are about who comes first

test-long: $(VENV)/.dev ## the soaks: minutes of kills and random worlds
	@tools/system_packages.sh
	$(BIN)/python -m pytest -m long $(TESTS)

lint: $(VENV)/.dev    ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

perf: $(VENV)/.dev    ## measure, as ratios in one run
	@tools/system_packages.sh
	$(BIN)/python -m perf.ingest

lock:                 ## renew the locked dependencies from pyproject.toml
	$(PYTHON) tools/lock.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { tools/system_packages.sh venv && $(PYTHON) -m venv $(VENV); } || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: $(VENV)/bin/python requirements.lock pyproject.toml
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . 2>/dev/null || $(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
