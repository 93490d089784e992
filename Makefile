# `make train` and `make test` each build .venv first when it is missing or older than pyproject.toml. `make train` installs
# only what training needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-slow lint clean

train: .venv/installed
	$(BIN)/python -m socialmd_tf.train --run-directory runs/demo --export-directory saved_models/demo \
		--preset forces --epochs 3 --batch-size 8 --final

test: .venv/developed lint
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-slow: .venv/developed
	$(BIN)/python -m pytest -m slow

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

clean:
	rm -rf .venv data runs saved_models/demo
