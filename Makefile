# Two commands: `make demo` and `make test`. Everything they need is made in .venv.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# What pip compiles one after the other, all cores do together; a package may hold templates that are no Python.
PIP := $(PY) -m pip install --quiet --no-compile
COMPILE := $(PY) -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
ARGS ?=

.PHONY: demo test lint types browser bench clean

demo: $(VENV)/.demo-ready
	@$(PY) -m fiftyone_tator.cli demo $(ARGS)

test: $(VENV)/.test-ready browser
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports
ifeq ($(strip $(ARGS)),)
	@$(PY) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --ignore tests/app
	@$(PY) -m pytest tests/app
else
	@$(PY) -m pytest $(ARGS)
endif

lint: $(VENV)/.test-ready
	@$(PY) -m ruff check --fix . ; $(PY) -m ruff format .

types: $(VENV)/.test-ready
	@$(PY) -m mypy

browser:
	@tools/browser

bench: $(VENV)/.test-ready
	@$(PY) benchmarks/import_benchmark.py $(ARGS)
	@$(PY) benchmarks/push_benchmark.py $(ARGS)
	@$(PY) benchmarks/embedding_benchmark.py $(ARGS)

$(VENV)/.python:
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(VENV)/src && ln -sfn ../.. $(VENV)/src/fiftyone_tator
	@touch $@

$(VENV)/.demo-ready: $(VENV)/.python pyproject.toml requirements.txt tools/mongod
	@echo "Installing (a few minutes the first time) ..."
	@$(PIP) --editable '.[sandbox,umap]' || $(PIP) --editable '.[sandbox]'
	@$(COMPILE)
	@tools/mongod $(PY)
	@touch $@

$(VENV)/.test-ready: $(VENV)/.python pyproject.toml requirements.txt tools/mongod
	@$(PIP) --editable '.[dev]'
	@$(COMPILE)
	@tools/mongod $(PY)
	@touch $@ $(VENV)/.demo-ready

clean:
	rm -rf .demo build .mypy_cache .ruff_cache .pytest_cache .hypothesis
