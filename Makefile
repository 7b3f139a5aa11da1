# Each target sets up what it needs: a virtual environment, the pinned packages, an embedded Postgres.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEV_INSTALLED := $(VENV)/.dev-installed

.PHONY: run test test-slow lint bench screenshots docs install constraints clean

run: $(INSTALLED) ## everything on this machine; `make run ARGS=--once` passes arguments on
	$(BIN)/kombo-pipeline up $(ARGS)

test: $(DEV_INSTALLED) ## the whole suite; a file's tests stay together, for they share servers
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-slow: $(DEV_INSTALLED) ## what takes minutes, or needs programs or rights that not every machine gives
	$(BIN)/python -m pytest -m long -rs $(ARGS)

lint: $(DEV_INSTALLED) ## what the pre-commit hooks and CI check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive kombo_pipeline .ci docs
	$(BIN)/python .ci/audit.py

bench: $(DEV_INSTALLED) ## the benchmarks, with their peers
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: $(DEV_INSTALLED) ## docs/images, with a real browser
	$(BIN)/python docs/screenshots.py $(ARGS)

docs: $(DEV_INSTALLED) ## docs/tables.md, from the comments in the database
	$(BIN)/python docs/generate.py

install: $(INSTALLED)

constraints: $(DEV_INSTALLED) ## constraints.txt, from what is installed
	{ head -1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sort -f; } > constraints.tmp
	mv constraints.tmp constraints.txt

clean:
	rm -rf $(VENV) .local

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name it: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local]'
	touch $@

$(DEV_INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,dev]'
	touch $@ $(INSTALLED)
