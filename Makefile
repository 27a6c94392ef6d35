# Everything goes through scripts/setup.sh, which needs python3.11 or newer and pip, nothing else.
PYTHON := .venv/bin/python
SOURCES := app agents tools memory sandboxes models evals tests benchmarks
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo serve test check lint format bench compose-env clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: ## Install what Strop needs to run, into .tools and .venv of this folder
	@sh scripts/setup.sh

setup-dev:
	@sh scripts/setup.sh --dev

demo: setup ## Solve one real task twice and show what the first run taught the second
	@$(PYTHON) -m app.demo $(ARGS)

serve: setup ## Start the server and the chat page at http://127.0.0.1:8321
	@./strop serve $(ARGS)

test: lint ## Run the whole suite: format, lint, types, import rules, tests
	@sh scripts/test.sh $(ARGS)

check: lint ## Run format, lint, types and import rules, without the tests
	@.venv/bin/pyright

lint: setup-dev
	@$(PYTHON) -m ruff format --check $(SOURCES)
	@$(PYTHON) -m ruff check $(SOURCES)
	@.venv/bin/lint-imports

format: setup-dev ## Format the code and mend what the linter can mend
	@$(PYTHON) -m ruff format $(SOURCES)
	@$(PYTHON) -m ruff check --fix $(SOURCES)

bench: setup-dev ## Measure, and write JSON and a table to benchmarks/results
	@$(PYTHON) -m benchmarks $(ARGS)

compose-env: ## Make the passwords that docker compose needs, once
	@sh scripts/compose_env.sh

clean: ## Remove the environments and caches of this folder; your data in ~/.strop stays
	rm -rf .venv .tools .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
