# `make book` builds the book, `make test` tests everything; each makes its own .venv first.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
NOTEBOOKS := notebooks/*.ipynb tests/examples/template.ipynb
PARITY := build/parity-venv/bin

# Notebooks run in this .venv's own kernel, whatever kernels the user has registered.
export JUPYTER_PREFER_ENV_PATH := 1
export JUPYTER_PATH :=

.PHONY: help book pdf test lint bench results check-results parity browser outputs strip lab clean

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 22

book: .venv/stamp  ## build the book into build/html; REPOSITORY=URL links to its public sources
	@$(BIN)/partsrep book --repository '$(REPOSITORY)'

pdf: book browser  ## print the built book into build/html/partsrep.pdf; minutes
	@PYTHONPATH=tests/browser $(BIN)/python book/pdf.py

# The tests run in parallel, each file at one thread in one process; their work shows no bars. The
# files come in their order, since the last ones, the notebooks, share out well.
test: export OMP_NUM_THREADS := 1
test: export TQDM_DISABLE := 1
test: .venv/stamp browser lint  ## run the unit tests, the tests of the book, and every notebook's stored outputs
	$(PYTEST) -n auto --dist loadfile --no-loadscope-reorder \
	  --nbval-lax --nbval-current-env --nbval-cell-timeout=120 partsrep tests notebooks

lint: .venv/stamp  ## check style and types
	$(BIN)/ruff check partsrep tests notebooks
	$(BIN)/ruff format --check partsrep tests notebooks
	$(BIN)/mypy

bench: .venv/stamp  ## time us against our peers, at one thread; ONLY=memory runs what is called so
	@$(BIN)/python tests/bench/bench.py --only '$(ONLY)'

results: .venv/stamp  ## run the published sweeps anew; goes on where it was stopped
	@$(BIN)/partsrep publish

check-results: .venv/stamp  ## run a random sample of the published records again and compare
	@$(BIN)/partsrep check

parity: build/parity-venv/stamp  ## compare with our peers' own modules, in an environment of its own
	@$(PARITY)/python -m pytest -o pythonpath=tests --confcutdir=tests/parity tests/parity/test_parity.py

build/parity-venv/stamp: tests/parity/requirements.txt tests/parity/bare.txt pyproject.toml
	@echo "Installing our peers into build/parity-venv (once; some minutes)"
	@$(PYTHON) -m venv --clear build/parity-venv
	@$(PARITY)/python -m pip install --quiet --requirement tests/parity/requirements.txt
	@$(PARITY)/python -m pip install --quiet --no-deps --requirement tests/parity/bare.txt
	@touch $@

browser: .venv/stamp  ## get a browser for the tests, if none is found
	@$(BIN)/python tests/browser/chromium.py

outputs: .venv/stamp  ## run every notebook at its defaults and store what its check cells print
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --coalesce-streams $(NOTEBOOKS)
	@$(MAKE) --no-print-directory strip

strip: .venv/stamp  ## remove every output from the notebooks, except those of check cells
	$(BIN)/nbstripout --keep-id --keep-count \
	  --extra-keys "metadata.language_info cell.metadata.execution" $(NOTEBOOKS)

lab: .venv/stamp  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

clean:  ## remove what was built; .venv stays
	rm -rf build _build .pytest_cache .ruff_cache

.venv/stamp: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "This needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing requirements.txt into .venv (once; some minutes)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@touch $@
