# Every target but deny first runs scripts/setup, which installs what is missing.

.PHONY: setup build demo test test-all bench torture fuzz lint deny

build: setup
	cargo build

setup:
	@scripts/setup

# With the features of the tests, so that both share one build.
demo: setup
	@cargo run --quiet --locked --features testing -- demo

test: setup
	@scripts/setup authors
	@scripts/test

# Adds what takes long: a newer compose, and every fault at every stage. Run it once per change that
# ends an issue.
test-all: setup
	@scripts/setup authors
	@scripts/test all

bench: setup
	@scripts/bench

# Every fault at every stage, KILLS kills at random moments (chosen by SEED), and updates next to a
# hostile container.
KILLS ?= 200
SEED ?= 1
torture: setup
	COWHAND_TORTURE=1 COWHAND_KILLS=$(KILLS) COWHAND_SEED=$(SEED) \
		cargo test --locked --features testing --test suite -- faults,hostile --nocapture

# Every fuzz target, two at a time, for MINUTES in total.
# Needs cargo-fuzz: cargo install --locked cargo-fuzz
MINUTES ?= 128
fuzz: setup
	@scripts/fuzz $(MINUTES)

lint: setup
	@scripts/lint

# Needs cargo-deny: cargo install --locked cargo-deny
deny:
	cargo deny check bans licenses sources
