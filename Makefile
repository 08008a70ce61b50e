# Every target makes what it needs: the first one on a new machine sets everything up (see .ci/setup).
SHELL := /bin/bash
PYTHON ?=
ARGS ?=
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test check lab bench clean setup services

help:  ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: setup  ## run the quickstart notebook and print what it shows
	@$(BIN)/python notebooks/run_demo.py

# A worker for every core, up to four; the tests of one file share a worker, and with it the servers they start.
test: services check  ## run the checks, all tests and every docstring example (ARGS=... goes to pytest)
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist=loadfile $(ARGS)

check: setup  ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lab: setup  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab --ip=127.0.0.1 --ServerApp.root_dir=notebooks $$([ "$$(id -u)" != 0 ] || echo --allow-root)

bench: services  ## run every benchmark
	@for script in benchmarks/bench_*.py; do [ ! -e "$$script" ] || $(BIN)/python "$$script" || exit; done

clean:  ## remove what the other targets made
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

setup:
	@PYTHON="$(PYTHON)" .ci/setup

services: setup
	@.ci/services
