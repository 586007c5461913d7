# The only front door. Each target is one line of intent; the work is in tools/, bench/ and tests/.
# `make help` lists them. Arguments for the program: make run ARGS="--port 4100".
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run demo sim build test check bench fuzz fmt bless image-test clean

ARGS ?=
CONFIG ?= $(wildcard config.yaml)
BELAY := build/belay

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

run: build ## the gateway on 127.0.0.1:4000, the sign-in page on :4001
	@exec $(BELAY) serve $(if $(CONFIG),--config $(CONFIG)) $(ARGS)

demo: build ## the whole product on a simulator: no account, no network
	@exec $(BELAY) serve --demo $(ARGS)

sim: build ## only the simulator: a GitHub and a Copilot that are neither
	@exec $(BELAY) sim $(ARGS)

build: ## the release program, build/belay
	@tools/setup build
	@tools/build release belay

test: ## everything that must hold: unit tests, official clients, documents
	@tools/setup test
	@tools/build release all
	@tools/run-tests

check: ## format, lint, warnings as errors, sanitizers
	@tools/setup check
	@tools/check

bench: ## Belay beside nginx and HAProxy, same run, same upstream (BENCH_QUICK=1: short)
	@tools/setup bench
	@tools/build release belay belay_load
	@bench/run

fuzz: ## each fuzz target for FUZZ_SECONDS (10), or only TARGET=name
	@tools/setup check
	@tools/build fuzz all
	@tools/fuzz $(TARGET)

fmt: ## format the C++ sources
	@tools/setup check
	@tools/format --fix

bless: ## write what the transcripts now produce; the diff is the review
	@tools/setup test
	@tools/build release all
	@BELAY_BLESS=1 ctest --test-dir build --output-on-failure || true
	@git --no-pager diff --stat -- tests

image-test: ## build the container image's contents in a bare Debian tree, and run it there
	@tools/setup image
	@build/venv/bin/python tests/image/run

clean: ## remove what was built (kept: build/cache)
	@find build -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +
