# Needs make and Python 3.11 or newer; everything else is installed into $(VENV) through constraints.txt.
# `make help` lists the targets. Variables can be given on the command line: make demo PYTHON=python3.12

PYTHON      ?= python3
VENV        ?= .venv
CONSTRAINTS ?= constraints.txt
JOBS        ?= 2
PIP_FLAGS   ?=
PYTEST_FLAGS ?=
BENCH_FLAGS ?=
SPHINX_FLAGS ?=

# Always `python -m`: the scripts of an environment break in folders with long or unusual names.
RUN     := "$(VENV)/bin/python"
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c $(CONSTRAINTS)
STAMP   := $(VENV)/.installed
# A worker that has nothing left to do takes over tests of another.
WORKERS := -n $(JOBS) --dist worksteal

# A changed pin, dependency or version makes every stamp old. The package is installed editable: its Python sources need
# no stamp, those of the compiled kernels do.
RECIPE := pyproject.toml setup.py $(CONSTRAINTS) skseqmetric/__init__.py $(wildcard skseqmetric/_ops/compiled/src/*)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two pips must not work in one environment at a time; the tests use $(JOBS) processes of their own.
.NOTPARALLEL:
.PHONY: help environment demo test test-slow test-long test-oldest lint format types layers bench docs wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: $(STAMP)-demo ## install, then classify real sequences and draw two pictures (minutes)
	$(RUN) examples/quickstart.py

test: $(STAMP)-test ## run the tests, without the slow ones
	$(RUN) -m pytest -q $(WORKERS) -m "not slow and not long" $(PYTEST_FLAGS)

test-slow: $(STAMP)-test ## run the slow tests only
	$(RUN) -m pytest -q $(WORKERS) -m "slow and not long" $(PYTEST_FLAGS) || test $$? -eq 5 # 5: no test is marked slow

test-long: $(STAMP)-test ## run thousands of trials more of what the suite tries some of (half an hour)
	$(RUN) -m pytest -q $(WORKERS) -m long $(PYTEST_FLAGS)

test-oldest: ## run the tests with the oldest supported versions, in an environment of their own
	$(MAKE) --no-print-directory test VENV="$(VENV)-oldest" CONSTRAINTS=constraints-oldest.txt

lint: $(STAMP)-lint ## check style, format and docstrings
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) .ci/check_docstrings.py

format: $(STAMP)-lint ## repair style and format
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

types: $(STAMP)-lint ## check the type hints
	$(RUN) -m mypy

layers: $(STAMP)-lint ## check that imports only go down
	$(RUN) -c "from importlinter.cli import lint_imports_command as run; run()" --no-logo --no-cache

bench: $(STAMP)-bench ## measure everything that needs no data (long); BENCH_FLAGS=--quick for a trial
	$(RUN) -m benchmarks.run_import $(BENCH_FLAGS)
	$(RUN) -m benchmarks.run_fit $(BENCH_FLAGS)
	$(RUN) -m benchmarks.run_recurrence $(BENCH_FLAGS)
	$(RUN) -m benchmarks.run_kneighbors $(BENCH_FLAGS)
	$(RUN) -m benchmarks.run_peers $(BENCH_FLAGS)

docs: $(STAMP)-docs ## build the site with its gallery into docs/_build/html (minutes the first time)
	$(RUN) -m sphinx -W --keep-going -q -j $(JOBS) -b html $(SPHINX_FLAGS) docs docs/_build/html
	$(RUN) .ci/check_site.py docs/_build/html

wheel: $(VENV)/.created ## build dist/*.whl
	rm -rf build dist
	$(RUN) -m pip wheel --quiet --disable-pip-version-check $(PIP_FLAGS) --no-deps --wheel-dir dist .
	@rm -rf build

clean: ## remove the environment and everything built
	rm -rf "$(VENV)" build dist *.egg-info .*_cache .hypothesis .coverage
	rm -rf docs/_build docs/auto_examples docs/api/backreferences docs/api/generated
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "skseqmetric needs Python 3.11 or newer, and '$(PYTHON)' is not: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv "$(VENV)"
	@touch "$@"

environment: $(VENV)/.created ## install for every target at once, which builds the kernels once
	@echo "installing the package and what every target needs into $(VENV) (torch is large: minutes the first time)"
	@$(INSTALL) -e ".[bench,docs,lint,test]"
	@touch $(foreach stamp,demo test bench docs lint,$(STAMP)-$(stamp))

$(STAMP)-demo: $(VENV)/.created $(RECIPE)
	@echo "installing the package and what it needs into $(VENV) (torch is large: minutes the first time)"
	@$(INSTALL) -e ".[baselines,viz]"
	@touch "$@"

$(STAMP)-test: $(VENV)/.created $(RECIPE)
	@echo "installing the package and its test tools into $(VENV) (torch is large: minutes the first time)"
	@$(INSTALL) -e ".[test]"
	@touch "$@"

$(STAMP)-bench: $(VENV)/.created $(RECIPE)
	@echo "installing the package and what the benchmarks compare it with into $(VENV)"
	@$(INSTALL) -e ".[bench]"
	@touch "$@"

$(STAMP)-docs: $(VENV)/.created $(RECIPE)
	@echo "installing the package and what builds its site into $(VENV)"
	@$(INSTALL) -e ".[docs]"
	@touch "$@"

$(STAMP)-lint: $(VENV)/.created $(RECIPE)
	@echo "installing the package and its checkers into $(VENV)"
	@$(INSTALL) -e ".[lint]"
	@touch "$@"
