# `make demo` and `make test` do all the set-up on a fresh machine.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test lint types unit bench clean

demo: $(STAMP)
	$(BIN)/badx-hub demo

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The packages cli/ and cards/ install below badx_hub; mypy sees them there through links.
types: $(STAMP)
	rm -rf build/types && mkdir -p build/types/badx_hub
	ln -s $(CURDIR)/badx_hub/* $(CURDIR)/cli $(CURDIR)/cards build/types/badx_hub/
	cd build/types && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p badx_hub

unit: $(STAMP)
	$(BIN)/pytest -n 2

# Takes about half an hour; leave the machine alone meanwhile. `python benchmarks/bench.py --only NAME` runs one script.
bench: $(STAMP)
	$(BIN)/python benchmarks/bench.py

# torch first and alone: an open range would fetch gigabytes of GPU libraries.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
