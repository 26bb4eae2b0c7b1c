# netlab: `make lab` demonstrates it, `make test` tests it, `make help` lists all targets.

# Where rustup puts cargo, for shells whose PATH does not include it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help lab build deps install test soak fuzz lint deny bench clean rust

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

lab: build ## Install what is missing, build, start the lab and run exercise 2
	@scripts/deps.sh lab
	bin/netlab up
	bin/netlab exercise 2
	@echo
	@echo 'The lab is up, and the report of exercise 2 is in' "$$(ls -td captures/*/ | head -n 1)"
	@echo '  bin/netlab shell client1   look around on a host'
	@echo '  bin/netlab down            take the lab down'
	@echo '  make install               to type netlab instead of bin/netlab'

build: rust ## Build the programs, optimised, into bin/
	@scripts/deps.sh build
	cargo build --release --locked
	@ln -sfn $${CARGO_TARGET_DIR:-target}/$$(rustc --print host-tuple)/release bin

deps: ## Install what is missing to build, run and test
	@scripts/deps.sh build lab test

install: build ## Install the programs into ~/.cargo/bin
	cargo install --locked --path .

test: rust deps $(if $(CI),lint) ## Install what the tests use and run them all
	cargo test --locked --no-fail-fast

soak: rust deps ## Kill, starve and crowd labs for MINUTES=30
	NETLAB_SOAK=$(or $(MINUTES),30) cargo test --locked --test faults

lint: rust ## Check the format and the lints
	@scripts/deps.sh build
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

deny: rust ## Check the dependencies' licences and advisories (needs cargo-deny)
	cargo deny check

bench: build ## Measure netlab against the usual tools
	@scripts/deps.sh lab bench
	cargo build --release --locked --example echo_load --example capture_load
	benches/run

# How long each fuzz target runs, in seconds, and which ones run: all, if none is named.
TIME ?= 60
TARGETS ?=

fuzz: rust ## Fuzz each reader of untrusted input for TIME=60 seconds
	@scripts/deps.sh build fuzz
	fuzz/run $(TIME) $(TARGETS)

clean: ## Remove what was built; captures stay
	rm -rf target fuzz/target bin

rust:
	@scripts/rust.sh
