# Every target sets up what it needs. Stamps in .make/ record what is done: a second call starts at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := scripts/retry $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input \
	--retries 10 --timeout 60 --constraint constraints.txt
INSTALL := $(PIP) --no-build-isolation --editable
JLPM := cd labextension && PATH="$(CURDIR)/$(BIN):$$PATH" jlpm
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder --inline-snapshot=disable
VIEW := $(shell find labextension/src labextension/style labextension/scripts -type f 2>/dev/null)
SLOWEST := --durations 10 --durations-min 5

.DEFAULT_GOAL := help
.PHONY: help demo lab setup check test test-all fuzz bench bench-view wheel clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo "make demo      ask a first question, with no key (needs Python 3.11 or later, nothing else)"
	@echo "make lab       open the notebooks in JupyterLab"
	@echo "make setup     install what the targets below need"
	@echo "make check     format, lint, types, import rules; the TypeScript part too (needs Node.js 20)"
	@echo "make test      the tests without the slow ones, in a few minutes (needs Node.js 20)"
	@echo "make test-all  every test: real browsers, clean installs, pressure"
	@echo "make fuzz      the property tests again, with thousands of new examples each"
	@echo "make bench     measure turns, sub-calls, sub-RLMs, the hand-over of values, search"
	@echo "make bench-view  the view of 10,000 and 50,000 nodes in a real browser: frames, opening, loading again"
	@echo "PYTHON=python3.12 chooses another Python; rm -rf .venv .make starts afresh"

demo: .make/demo
	@$(BIN)/python scripts/demo.py

lab: .make/lab
	@if scripts/node; then $(MAKE) --no-print-directory .make/view; fi
	@$(BIN)/jupyter lab --notebook-dir=notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

setup: .make/dev .make/view .make/system

check: .make/dev .make/node
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/pyright --warnings
	$(BIN)/lint-imports --no-logo
	$(JLPM) check

test: .make/dev .make/view .make/system
	$(JLPM) test
	$(BIN)/python -m pytest -q $(PARALLEL) $(SLOWEST) -m "not slow"

test-all: .make/dev .make/view .make/system
	$(JLPM) test
	$(BIN)/python -m pytest -q $(PARALLEL) --cov=rlm_magic.engine tests/engine
	$(BIN)/python -m pytest -q $(PARALLEL) $(SLOWEST) --ignore=tests/engine

bench: .make/dev
	@$(BIN)/python -m benchmarks.calls
	@$(BIN)/python -m benchmarks.binding
	@$(BIN)/python -m benchmarks.confinement
	@$(BIN)/python -m benchmarks.search

bench-view: .make/dev .make/view .make/system
	@$(BIN)/python -m benchmarks.view

wheel: .make/dev .make/view
	@$(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf build dist .make .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/pyvenv.cfg:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here: install Python 3.11 or later, or name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) scripts/make_venv.py $(VENV)
	@touch $@

.make/build: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	@echo "installing into $(VENV) (the first time takes a minute or two)"
	@mkdir -p .make
	@$(PIP) hatchling editables
	@touch $@

.make/demo: .make/build
	@$(INSTALL) . nbclient
	@touch $@

.make/lab: .make/build
	@$(INSTALL) ".[lab]"
	@touch $@

.make/dev: .make/build
	@$(INSTALL) ".[lab,arrow,test,dev]"
	@touch $@ .make/demo .make/lab

.make/node: .make/lab labextension/package.json labextension/yarn.lock
	@scripts/node
	@cd labextension && ../scripts/retry ../$(BIN)/jlpm install --immutable >../.make/node.log || { cat ../.make/node.log; exit 1; }
	@touch $@

.make/view: .make/node $(VIEW)
	@$(JLPM) build:prod >../.make/view.log 2>&1 || { cat ../.make/view.log; exit 1; }
	@$(INSTALL) . --no-deps
	@touch $@

.make/system: scripts/system
	@mkdir -p .make
	@scripts/system
	@touch $@

# The parser, the fold, the record's reader and the wire's frames, each fed with examples that no run had before.
FUZZED := tests/engine/test_parse.py tests/edges/trace/test_reader.py tests/faults/test_frames.py tests/faults/test_fold.py

fuzz: .make/dev
	$(BIN)/python -m pytest -q $(PARALLEL) --hypothesis-profile=fuzz --timeout=3600 $(FUZZED)
