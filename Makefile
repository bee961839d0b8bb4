# `make demo` and `make test` need nothing but Python 3.10+ and make: they install what they use into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: demo test lint bench clean

demo: $(READY)
	$(BIN)/python -W ignore -m ulmfit_lib.cli demo --out demo-model

test: $(READY) lint
	$(BIN)/python -W ignore -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -W ignore benchmarks/token_parity.py
	$(BIN)/python -W ignore benchmarks/speed.py --quick

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info demo-model
