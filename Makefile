# `make train` and `make test` each build .venv first when it is missing or older than pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-slow lint clean

train: .venv/installed
	$(BIN)/python -m socialmd_tf.train --run-directory runs/demo --export-directory saved_models/demo \
		--preset verlet --curriculum 0 0 0 --epochs 4 --calibration-epochs 1 --batch-size 8 --rotations 1 \
		--learning-rate 1e-2 --decay cosine --clip-norm 1 --model.step-fraction 0.2 --final

test: .venv/installed lint
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv data runs saved_models/demo
