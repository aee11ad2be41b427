# `make demo` and `make test` do all the set-up on a fresh machine.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DOCS   := $(VENV)/.installed-docs

# Compiled files are kept: without them each start of Python, and of each worker of pytest, compiles everything again.
unexport PYTHONDONTWRITEBYTECODE

# `make unit PYTEST="-k names"` hands options to pytest, as `fast` and `coverage` do.
PYTEST ?=

.PHONY: demo check test lint imports audit types fast unit fuzz soak faults coverage hooks bench docs tutorials links clean

demo: $(STAMP)
	$(BIN)/badx-hub demo

# Before each commit: all but the tests that train, serve a Hub or load a model (marked in tests/conftest.py).
check: lint types fast

test: lint types unit

# The second call of deptry leaves out what only tells that tests and tools use the dev extra.
lint: $(STAMP) imports audit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deptry badx_hub cli cards
	$(BIN)/deptry tests benchmarks docs tools --ignore DEP002,DEP004

imports: $(STAMP) links
	cd build/types && $(CURDIR)/$(BIN)/lint-imports --no-cache --no-logo

audit: $(STAMP)
	$(BIN)/python tools/audit.py

types: $(STAMP) links
	cd build/types && $(CURDIR)/$(BIN)/mypy --cache-dir $(CURDIR)/.mypy_cache -p badx_hub

# The packages cli/ and cards/ install below badx_hub; mypy and import-linter see them there through links.
links:
	rm -rf build/types && mkdir -p build/types/badx_hub
	ln -s $(CURDIR)/badx_hub/* $(CURDIR)/cli $(CURDIR)/cards build/types/badx_hub/
	ln -s $(CURDIR)/pyproject.toml build/types/

fast: $(STAMP)
	$(BIN)/pytest -n 2 -m "not slow" --hypothesis-profile few $(PYTEST)

unit: $(STAMP)
	$(BIN)/pytest -n 2 $(PYTEST)

# Takes an hour: servers killed at 200 moments, two publishers of one repository, 16 writers for ten minutes, and faults.
soak: $(STAMP)
	$(BIN)/pytest -n 0 -m soak $(PYTEST)

# The thousand points of docs/reliability.md, with a table in build/faults.md; those that are there are not tried again.
faults: $(STAMP)
	mkdir -p build
	$(BIN)/python -W ignore -m tests.faults.run build/faults

# What runs in processes of its own (some tests of the command line) does not count.
coverage: $(STAMP)
	mkdir -p build/coverage
	$(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered --cov-report=html:build/coverage/html $(PYTEST)

# Has git run .pre-commit-config.yaml before each commit.
hooks: $(STAMP)
	$(BIN)/pre-commit install

# Each parser of foreign text, for its share of the time; what fails is kept in tests/fuzz and is a test from then on.
FUZZ_SECONDS ?= 600

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz.run $(FUZZ_SECONDS)

# Takes about half an hour; leave the machine alone meanwhile. `python benchmarks/bench.py --only NAME` runs one script.
bench: $(STAMP)
	$(BIN)/python benchmarks/bench.py

# The site goes to build/site: open build/site/index.html. Every link is checked.
docs: $(DOCS)
	$(BIN)/python docs/make_map.py
	$(BIN)/python docs/make_command_line.py
	$(BIN)/python docs/build_site.py

# Runs the notebooks in docs/tutorials and stores what they print; a few minutes.
tutorials: $(DOCS)
	$(BIN)/python docs/make_tutorials.py

$(DOCS): $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

# torch first and alone: where pip knows a source of CPU builds (PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL) it takes the one
# of this version, and elsewhere the ordinary one, on Linux with gigabytes of GPU libraries.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
