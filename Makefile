# Every target sets up .venv/ by itself where it is missing or out of date.
# The demo needs only the runtime; tests and lint add the developer's tools to the same .venv/.

PYTHON ?= python3
BIN := .venv/bin
# Left uncompiled, a package is compiled when it is first imported: installing takes half the time.
INSTALL := $(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-slurm lint format clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: .venv/dev ## set up .venv/ with everything, developer's tools included

demo: .venv/runtime ## phantoms, training, reconstruction and scores, into demo/
	$(BIN)/vecsetx demo --out demo

test: .venv/dev ## run the tests, but for the slow ones, on up to four cores
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

test-slow: .venv/dev ## run the slow tests
	$(BIN)/python -m pytest -m slow

test-slurm: .venv/dev ## run the jobs of slurm/ in a SLURM cluster of this machine (Debian)
	@if ! PATH="$$PATH:/usr/sbin" sh -c 'command -v sbatch && command -v slurmd && command -v munged' >/dev/null; then \
		[ "$$(id -u)" = 0 ] || { echo "SLURM is missing; as root: apt-get install slurm-wlm munge" >&2; exit 1; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge; \
	fi
	$(BIN)/python -m pytest -m slurm

lint: .venv/dev ## check style, types and the order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/dev ## put the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv/, the demo and every cache
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/*.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "VecSetX needs Python 3.11 or newer; name one with: make PYTHON=...")'
	rm -rf .venv
	$(PYTHON) -m venv .venv

# The two stamps are touched last, so that an installation that was cut short is taken up again.
.venv/runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what VecSetX needs into .venv/ (once; 1.7 GB, about a minute)"
	@$(INSTALL) -e .
	@touch $@

.venv/dev: .venv/runtime
	@echo "installing the developer's tools into .venv/ (once)"
	@$(INSTALL) -e '.[dev]'
	@touch $@
