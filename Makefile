# Two commands for users: make run, make test. Everything installs into .venv; constraints.txt holds the exact versions.

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN_FILE := runs/20261120_caa_demo.py

.PHONY: install run test test-slow lint clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@echo "making .venv (some minutes the first time: PyTorch is large)"
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP) --editable ".[dev]"
	@touch $@

# In a terminal the console opens on the running demo; otherwise plain progress, then the table and the curve.
run: .venv/.installed
	@if [ -t 0 ] && [ -t 1 ]; then \
		$(BIN)/tiller run $(RUN_FILE) --detach && $(BIN)/tiller; \
	else \
		$(BIN)/tiller run $(RUN_FILE) && $(BIN)/tiller logs last report; \
	fi

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest

test-slow: .venv/.installed-dev
	$(BIN)/pytest -m slow --timeout 1800

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis
