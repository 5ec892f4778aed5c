# Every target that needs .venv/ creates or updates it.
# The demo needs only the runtime; tests and lint add the development tools to the same .venv/.

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
# Tests wait for processes that they start, so one worker more than there are cores; at most four.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() + 1, 4))')
# Real hearts for the built-in model: a folder with train/ and val/.
HEARTS ?= ../shared/data/kcl
BIN := $(VENV)/bin
# --no-compile halves the installation time; Python compiles each module on first import.
INSTALL := $(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check -c $(CONSTRAINTS)
# A dot every four seconds says that pip, which is silent for minutes, is at work.
WITH_DOTS := { while sleep 4 >&2 && kill -0 $$$$ && printf .; do :; done } 2>/dev/null & trap "kill $$!; echo" EXIT;

.DEFAULT_GOAL := help
.PHONY: help install demo docs tutorials general test test-attack test-slow test-slurm test-lowest lowest-versions lint format dist first-mesh clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 25

install: $(VENV)/dev ## install VecSetX and the development tools into .venv/

demo: $(VENV)/runtime ## run everything on synthetic hearts; results in demo/
	$(BIN)/vecsetx demo --out demo

docs: $(VENV)/docs ## build the documentation site into build/site/
	PYTHONPATH=src $(BIN)/python website/make_site.py

tutorials: $(VENV)/dev ## run the tutorials, and write docs/tutorials/; one of them with ONLY=name
	$(BIN)/python tutorials/record.py $(ONLY)

general: $(VENV)/runtime ## make the built-in model (hours); with SOURCES=phantoms without real hearts
	$(BIN)/python general/make.py --out build/general $(if $(filter phantoms,$(SOURCES)),,--hearts $(HEARTS))

test: $(VENV)/dev ## run the tests except the slow ones, in up to four processes
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-attack: $(VENV)/dev ## attack the commands: five minutes; with LONG=1 some hours
	PYTHONPATH=src:tests $(BIN)/python -m attack $(if $(LONG),long,short)

test-slow: $(VENV)/dev ## run the slow tests
	$(BIN)/python -m pytest -m slow

test-slurm: $(VENV)/dev ## run the jobs in slurm/ on a local SLURM cluster (Debian)
	@if ! PATH="$$PATH:/usr/sbin" sh -c 'command -v sbatch && command -v slurmd && command -v munged' >/dev/null; then \
		[ "$$(id -u)" = 0 ] || { echo "SLURM is missing; as root: apt-get install slurm-wlm munge" >&2; exit 1; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge; \
	fi
	$(BIN)/python -m pytest -m slurm

# Old releases raise deprecation warnings about each other, so here these do not fail a test.
test-lowest: ## run the tests with the lowest versions that pyproject.toml allows
	PYTEST_ADDOPTS="-W default::DeprecationWarning" \
		$(MAKE) test VENV=build/lowest CONSTRAINTS=constraints-lowest.txt

# pip cannot resolve to the lowest versions; uv can. The CPU build of PyTorch needs no CUDA packages.
lowest-versions: $(BIN)/python ## update constraints-lowest.txt after a change in pyproject.toml
	@$(INSTALL) uv==0.13.9
	{ echo "# The lowest versions that pyproject.toml allows, with Python 3.11; written by make lowest-versions"; \
		$(BIN)/uv pip compile pyproject.toml --extra dev --quiet --no-header --no-annotate \
			--resolution lowest-direct --python-version 3.11 \
		| grep -vE '^(cuda-|nvidia-|triton)'; } > constraints-lowest.txt

lint: $(VENV)/dev ## check style, types, import contracts, spelling and prose
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md CODE_OF_CONDUCT.md CITATION.cff docs \
		examples release slurm src tutorials website
	PYTHONPATH=src $(BIN)/python website/check_prose.py

format: $(VENV)/dev ## format the code and apply automatic fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dist: build/release/ready ## build wheel and sdist into dist/, and check them
	$(PYTHON) release/check_version.py
	rm -rf dist build/lib build/bdist.* src/vecsetx.egg-info
	build/release/bin/python -m build
	build/release/bin/python -m twine check --strict dist/*
	$(PYTHON) release/check_dist.py dist

first-mesh: ## install the wheel in dist/ into an empty environment, and reconstruct a heart
	$(PYTHON) benchmarks/first_mesh.py dist/*.whl --constraints $(CONSTRAINTS)

clean: ## remove .venv/, the demo and all caches
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/*.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "VecSetX needs Python 3.11 or newer; choose one with: make PYTHON=...")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)

# The two stamps are touched last, so that make repeats an interrupted installation.
$(VENV)/runtime: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "installing VecSetX's dependencies into $(VENV)/ (once; 1.7 GB, one to three minutes)"
	@$(WITH_DOTS) $(INSTALL) -e .
	@touch $@

$(VENV)/dev: $(VENV)/runtime
	@echo "installing the development tools into $(VENV)/ (once)"
	@$(WITH_DOTS) $(INSTALL) -e '.[dev]'
	@touch $@

build/release/ready: release/requirements.txt
	$(PYTHON) -m venv build/release
	build/release/bin/python -m pip install -qq --disable-pip-version-check -r $<
	@touch $@

$(VENV)/docs: $(VENV)/runtime
	@echo "installing what builds the documentation into $(VENV)/ (once)"
	@$(WITH_DOTS) $(INSTALL) -e '.[docs]'
	@touch $@
