# Every verb of this project. `make demo` and `make test` need nothing but Python 3.11+ and make.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo up test check format reasons dashboards lock secrets bench bench-scale chaos

help: ## List these verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(INSTALLED) ## Build .venv with everything, versions and hashes pinned

$(INSTALLED): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## Watch 5,000 messages meet every fate, on servers of its own
	$(BIN)/delivery demo

up: install ## Everything on this machine, sandbox included, until Ctrl-C
	$(BIN)/delivery up

test: install ## Run every test, on servers of their own
	$(BIN)/python -m pytest -n 3 --dist loadscope

check: install ## Format, lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reasons: install ## Write docs/reasons.md anew from the tables of reasons
	$(BIN)/python -m worker.reasons_page docs/reasons.md

dashboards: install ## Write grafana/dashboards/ anew from grafana/source/
	$(BIN)/python -m grafana.source

lock: install ## Pin versions and hashes anew from pyproject.toml
	$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate -o requirements.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra embedded --extra otel --extra dev -c requirements.txt \
		--universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements-dev.txt

secrets: ## Passwords and keys for compose.yaml, one file each, where they are missing
	@mkdir -p -m 700 secrets
	@for name in postgres_password redis_password grafana_password secret_keys; do test -s secrets/$$name || \
		head -c 32 /dev/urandom | base64 | tr '+/' '-_' | if [ $$name = secret_keys ]; then cat; else tr -d '='; fi > secrets/$$name; done
	@test -s secrets/database_url || \
		echo "postgresql://delivery:$$(cat secrets/postgres_password)@postgres:5432/delivery" > secrets/database_url
	@test -s secrets/redis_url || echo "redis://:$$(cat secrets/redis_password)@redis:6379/0" > secrets/redis_url
	@chmod 644 secrets/* # read by processes of other users, in a folder that only you can enter
	@echo "secrets/ holds: $$(ls secrets | tr '\n' ' ')"

bench: install ## Speed measured beside its rivals, each goal with its figure; ONLY=webhooks,singles takes some
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

bench-scale: install ## The long rows: ten million waiting, a million draining, an hour of ticks
	$(BIN)/python -m bench --scale $(if $(ONLY),--only $(ONLY))

chaos: install ## Three seeds of 50,000 messages amid kills, restarts and faults; SEED=7 runs one again
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))
