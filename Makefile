# One target for each thing a person or CI does. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## What a person runs.

.PHONY: demo demo-build cluster cluster-build crds bench
demo: ## the whole story on a real Kubernetes, in pods where it can (NODE=no: without); DEMO=once ends by itself
	@$(MAKE) --no-print-directory --jobs=2 node demo-build
	@tests/node/run --if-possible target/debug/examples/demo

demo-build:
	$(CARGO) build --locked --bins --examples

cluster: ## a Kubernetes that stays until Ctrl-C, with a node where it can (NODE=no: without)
	@$(MAKE) --no-print-directory --jobs=2 node cluster-build
	@tests/node/run --if-possible target/debug/examples/cluster

cluster-build:
	$(CARGO) build --locked --example cluster

crds: ## write what is generated into crds/
	$(CARGO) run --quiet --bin mail-policy-operator -- crds --out crds

bench: bench-controller bench-sidecar ## every bench

.PHONY: bench-controller bench-sidecar
bench-controller: controlplane ## time, memory, SES calls and API writes for thousands of policies
	$(CARGO) bench --bench controller

bench-sidecar: ## what a message costs in the sidecar, beside the same load without it, Mailpit and Postfix
	$(CARGO) bench --bench sidecar

# RUSTC_BOOTSTRAP: the instrumentation is not stable, and the toolchain is the pinned one.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= smtp_session address mime_head http_body
FUZZ := RUSTC_BOOTSTRAP=1 $(CARGO) fuzz
FUZZ_LIMITS := -max_len=4096 -timeout=10 -rss_limit_mb=2048
.PHONY: fuzz fuzz-installed
fuzz: fuzz-installed ## any bytes at all, FUZZ_SECONDS (600) for each of FUZZ_TARGETS (docs/fuzzing.md)
	@for target in $(FUZZ_TARGETS); do \
	    echo "== $$target, $(FUZZ_SECONDS) s"; \
	    mkdir -p fuzz/corpus/$$target; \
	    $(FUZZ) run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) \
	        -dict=fuzz/dictionaries/$$target.dict -print_final_stats=1 $(FUZZ_LIMITS); \
	done

fuzz-installed:
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { \
	    echo "cargo-fuzz is not installed: cargo install cargo-fuzz --locked (it needs a C++ compiler, too)" >&2; exit 1; }

## What CI runs.

.PHONY: lint lint-format lint-clippy lint-dependencies
lint: lint-format lint-clippy lint-dependencies ## every lint

lint-format: ## the layout of the code
	$(CARGO) fmt --all --check

lint-clippy: ## clippy, pedantic, warnings refused
	$(CARGO) clippy --locked --all-targets -- -D warnings

lint-dependencies: ## licences, bans and sources of dependencies, where cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
	    $(CARGO) deny --locked check bans licenses sources; \
	else \
	    echo "cargo-deny is not installed; dependencies' licences are not checked (cargo install cargo-deny --locked)"; \
	fi

# Compiling Go and compiling Rust are the two long parts of a first run and need nothing of each other.
.PHONY: test test-build test-generated test-python test-clients test-rust test-node
test: ## everything that can be tested here; builds a control plane first, ten minutes once
	@$(MAKE) --no-print-directory --jobs=2 node test-build
	@$(MAKE) --no-print-directory test-generated
	@$(MAKE) --no-print-directory test-python
	@$(MAKE) --no-print-directory test-clients
	@$(MAKE) --no-print-directory test-rust
	@$(MAKE) --no-print-directory test-node

test-build: ## compile the tests and all that they start
	$(CARGO) build --locked --all-targets

# By the binary that is built already: cargo run would compile half of it again, without what only tests need.
test-generated: test-build ## crds/ is what the code generates
	@target/debug/mail-policy-operator crds --out crds
	@changed=$$(git status --porcelain -- crds); \
	if [ -n "$$changed" ]; then \
	    git --no-pager diff -- crds; \
	    echo "$$changed"; \
	    echo "crds/ is not what the code generates: run 'make crds' and commit it" >&2; \
	    exit 1; \
	fi

test-python: test-build ## the simulator, asked by clients that we did not write
	tests/python/run target/debug/mail-policy-operator

test-clients: test-build ## the sidecar, in each mode, asked by programs that we did not write
	tests/clients/run target/debug

test-rust: controlplane ## units, properties, the real API server
	$(CARGO) test --locked

# There is no network where they run, and nothing left to fetch or compile.
test-node: node test-build ## pods with a sidecar on a real node, where this machine can have one
	@if tests/node/run --check; then \
	    tests/node/run $(CARGO) test --locked --offline --test node -- --include-ignored --nocapture; \
	else \
	    echo "the tests with pods are left out"; \
	fi

.PHONY: controlplane node
controlplane: ## etcd, kube-apiserver, kube-controller-manager and kubectl, built into a cache outside the checkout
	@tests/controlplane/build >/dev/null

node: ## what controlplane builds, and where a node can run kubelet, kube-proxy and kube-scheduler
	@tests/controlplane/build $$(tests/node/run --check && echo node) >/dev/null
