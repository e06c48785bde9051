# Everything starts with scripts/setup, which installs what is missing and otherwise only says that nothing is.

.PHONY: setup build demo test bench torture lint deny

build: setup
	cargo build

setup:
	@scripts/setup

demo: build
	@cargo run --quiet -- demo

test: setup
	@scripts/setup authors
	@scripts/test

bench: setup
	@scripts/bench

# Every fault at every stage, and KILLS kills at random moments (SEED picks them).
KILLS ?= 200
SEED ?= 1
torture: setup
	COWHAND_TORTURE=1 COWHAND_KILLS=$(KILLS) COWHAND_SEED=$(SEED) cargo test --locked --test suite -- faults --nocapture

lint: setup
	@scripts/lint

# Needs cargo-deny: cargo install --locked cargo-deny
deny:
	cargo deny check bans licenses sources
