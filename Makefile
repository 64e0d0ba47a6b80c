# The verbs of this repository. `make demo`, `make example` and `make test` do all of their set-up from a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install build addon dist demo example test test-race test-docker test-systemd conformance typecheck bench lint format ready pack clean

TARGET = $(shell rustc -vV | sed -n 's/^host: //p')
CARGO_FLAGS = --release --target $(TARGET)

help: ## Show the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

# `npm ci` refuses a lock file that leaves out optional packages of other platforms, which a registry need not have.
NPM_INSTALL = npm install --no-save --no-audit --no-fund

node_modules/.package-lock.json: package.json package-lock.json
	$(NPM_INSTALL)
	@touch $@

install: node_modules/.package-lock.json ## Install npm packages and, as root, the system packages
	@scripts/setup.sh

addon: node_modules/.package-lock.json
	npm run --silent build:addon

dist: node_modules/.package-lock.json
	npm run --silent build:dist

build: addon dist ## Build the addon, the command and dist/

demo: install build ## Run the main job on a real project tree
	node examples/demo/demo.mjs

# The scripted model, whatever keys there are, in a workspace that is empty.
example: install build ## Run the scripted chat of examples/TSBasic: an agent over the tools of a workspace
	$(NPM_INSTALL) --prefer-offline --prefix examples/TSBasic
	@rm -rf target/example
	@env -u OPENAI_API_KEY -u ANTHROPIC_API_KEY AGENT_WORKSPACE=$(CURDIR)/target/example \
	  npm start --silent --prefix examples/TSBasic -- "Which numbers below 30 are prime?"

test: install build ## Run every test: Rust, TypeScript, types, repository rules, packages
	@node scripts/test.mjs

test-race: ## Run the races for 100,000 rounds each (a quarter of an hour)
	AGENT_BACKEND_RACE_ROUNDS=100000 cargo test $(CARGO_FLAGS) --workspace --test confinement races:: -- --nocapture

test-docker: install build ## Build and run the image (as root, with a Docker engine or dockerd; minutes)
	@scripts/setup.sh dockerd:docker.io debootstrap:debootstrap ip:iproute2 iptables:iptables
	node scripts/test-docker.mjs

test-systemd: install build ## Boot a small machine and run the unit in it (as root, x86-64; minutes, 200 MB)
	@scripts/setup.sh debootstrap:debootstrap qemu-system-x86_64:qemu-system-x86 mkfs.ext4:e2fsprogs
	node scripts/test-systemd.mjs

typecheck: node_modules/.package-lock.json ## Check the types of all TypeScript
	npm run --silent typecheck

bench: build ## Measure against the published package and others (QUICK=1 for a short run)
	@scripts/setup.sh rg:ripgrep sshd:openssh-server sftp:openssh-client
	$(NPM_INSTALL) --prefix bench
	node bench/run.mjs $(if $(QUICK),--quick)

conformance: build ## Run the conformance suite of MCP against the daemon (downloads a Node of its own, 240 MB)
	$(NPM_INSTALL) --prefix conformance
	node conformance/run.mjs

lint: node_modules/.package-lock.json ## Check formatting, clippy, biome and types
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	npm run --silent lint
	npm run --silent typecheck

format: node_modules/.package-lock.json ## Format everything
	cargo fmt --all
	npm run --silent format

ready: lint test ## All that must hold before a change is offered

pack: build ## Make this platform's npm tarballs in target/npm
	node scripts/pack.mjs

clean: ## Remove what was built
	cargo clean
	rm -rf dist node_modules bench/node_modules examples/*/node_modules bin/agent-backend ./*.node
