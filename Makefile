# Everything a clone needs: `make demo` and `make test`. A machine has Python 3.11, g++ and make; the rest
# (cmake and ninja too) comes from the package index into .venv. Stamps keep what is done from being redone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
DEMO ?= demo-data
QUESTION ?=
PYTEST_ARGS ?=
BENCH ?= --quick --plot bench.png
BARS ?=
SETS ?=
EVALUATE ?=

# pip without build isolation, so that a second build is incremental and needs no network. setuptools: a test tool comes
# as source, and the one of a new virtual environment is too old for it.
PIP := $(BIN)/pip install --quiet --quiet --disable-pip-version-check
INSTALL := PATH="$(abspath $(BIN)):$$PATH" $(PIP) --no-build-isolation --editable
NATIVE := CMakeLists.txt $(shell find native -name '*.h' -o -name '*.cc' -o -name '*.inc' -o -name CMakeLists.txt)
PACKAGES := $(wildcard src/sillar evaluations benchmarks) scripts tests

.PHONY: help install dev models demo test lint format types layers checks pytest sanitize bench bars evaluate docs clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(STAMPS)/tools:
	@echo "== virtual environment and build tools"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@$(PIP) 'setuptools>=70.1' 'scikit-build-core>=0.10' 'nanobind>=2.4' 'cmake>=3.18' ninja
	@touch $@

$(STAMPS)/sillar: $(STAMPS)/tools pyproject.toml $(NATIVE)
	@echo "== building and installing Sillar"
	@$(INSTALL) .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/sillar
	@echo "== test and lint tools"
	@$(INSTALL) '.[dev]'
	@touch $@

install: $(STAMPS)/sillar ## build and install into .venv

dev: $(STAMPS)/dev ## the same, with the test and lint tools

models: $(STAMPS)/sillar ## pull the two default models
	@$(BIN)/sillar pull smollm2-135m-instruct multilingual-e5-small

demo: models ## index a folder of real documents and answer a question with citations
	@test -e $(DEMO)/.question || $(BIN)/python -m evaluations.corpora demo --out $(DEMO)
	@$(BIN)/sillar index $(DEMO)
	@question='$(QUESTION)'; question="$${question:-$$(cat $(DEMO)/.question)}"; \
	  echo "sillar ask $(DEMO) \"$$question\""; $(BIN)/sillar ask $(DEMO) "$$question"

test: lint types layers checks pytest ## lint, types, layer and size checks, then the whole suite

lint: $(STAMPS)/dev
	@$(BIN)/ruff check $(PACKAGES)
	@$(BIN)/ruff format --check $(PACKAGES)

format: $(STAMPS)/dev ## apply the formatter and the safe lint fixes
	@$(BIN)/ruff format $(PACKAGES)
	@$(BIN)/ruff check --fix $(PACKAGES)

types: $(STAMPS)/dev
	@$(BIN)/mypy

layers: $(STAMPS)/dev
	@$(BIN)/lint-imports --no-logo

checks: $(STAMPS)/dev
	@$(BIN)/python -m scripts.checks

pytest: $(STAMPS)/dev models
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

sanitize: $(STAMPS)/dev ## hostile model files under the address and undefined-behaviour sanitizers
	@$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSILLAR_SANITIZE=ON -DSILLAR_BIND=OFF >build/sanitize.log
	@$(BIN)/cmake --build build/sanitize
	@SILLAR_FUZZ_DRIVER=$(abspath build/sanitize/native/fuzz/fuzz_model) $(BIN)/python -m pytest tests/sanitize

$(STAMPS)/bench: $(STAMPS)/sillar
	@$(PIP) 'matplotlib>=3.8'
	@touch $@

evaluate: models ## measure quality and write docs/evaluation.md, section by section; SETS="EN.json ES.json" for XQuAD
	@$(BIN)/python -m evaluations.report $(if $(SETS),--sets $(SETS)) $(EVALUATE)

bench: models $(STAMPS)/bench ## Sillar next to llama.cpp in one run, which is built first (minutes, once)
	@$(BIN)/python -m benchmarks.compare $(BENCH)

bars: models $(STAMPS)/bench ## every bar of speed, an hour and 32 GB of models: writes docs/bars.md; BARS="--only 'mixed, SmolLM2'"
	@$(BIN)/python -m benchmarks.bars $(BARS)

docs: ## write the generated parts of docs/
	@$(PYTHON) -m scripts.structure

clean: ## remove what was built; models and indexes stay in the cache
	rm -rf build $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
