# `make train` and `make test` each build .venv first when it is missing or older than pyproject.toml. `make train` installs
# only what training needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-slow test-docs docs lint clean

train: .venv/installed
	$(BIN)/python -m socialmd_tf.train --run-directory runs/demo --export-directory saved_models/demo --final

test: .venv/developed lint
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-slow: .venv/developed
	$(BIN)/python -m pytest -m slow --numprocesses auto --dist worksteal

# The documentation as a site, in build/site; open build/site/index.html.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/site/mkdocs.yml

test-docs: .venv/docs
	$(BIN)/python -m pytest -m docs

lint: .venv/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

# Of the modules of TensorFlow few are imported, and only those are compiled, when they are.
.venv/installed: pyproject.toml | .venv/bin/python
	@echo "installing TensorFlow and the other libraries into .venv, about half a minute"
	$(BIN)/python -m pip install --quiet --no-compile --editable .
	touch $@

# Tests start many processes: they find all modules compiled.
.venv/developed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]'
	$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	touch .venv/installed $@

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/docs: .venv/developed
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev,docs]'
	touch $@

clean:
	rm -rf .venv build data runs saved_models/demo
