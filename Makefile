# Everything starts with scripts/setup, which installs what is missing and otherwise only says that nothing is.

.PHONY: setup build demo test bench lint deny

build: setup
	cargo build

setup:
	@scripts/setup

demo: build
	@cargo run --quiet -- demo

test: setup
	@scripts/test

bench: setup
	@scripts/bench

lint: setup
	@scripts/lint

# Needs cargo-deny: cargo install --locked cargo-deny
deny:
	cargo deny check bans licenses sources
