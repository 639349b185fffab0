# The two commands of the README are `make up` and `make test`.

.DEFAULT_GOAL := help
.PHONY: help up down test soak compose bench bench-hot-path check fmt clippy unit deny audit generate

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

up: ## Start Keycloak and Hallpass with demonstration users
	@dev/up

down: ## Stop what `make up` started
	@dev/down

test: ## Run all tests, against a real Keycloak and real databases
	@dev/test

soak: ## Run the long tests, for an hour or so, and write docs/soak.md; ONLY="directory …" for some of them
	@dev/soak $(ONLY)

compose: ## Bring docker-compose.yml up for real, try it, take it down; needs root
	@dev/compose-test

bench: ## Measure, on a release build, and write docs/benchmarks.md; PARTS="validation …" for some of it
	@dev/bench $(PARTS)

bench-hot-path: ## Measure what a request costs without a network, with criterion
	@dev/with-services cargo bench --workspace --locked --bench hot_path

check: fmt clippy unit ## The quick loop: formatting, lints, unit tests

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit:
	cargo test --workspace --lib --locked

deny: ## Check licences, bans and sources of all dependencies
	@dev/deny bans licenses sources

audit: ## Check for known vulnerabilities; needs the advisory database
	@dev/deny advisories

generate: ## Write the committed files that are generated from the code
	@dev/generate
