# Every target installs what it needs. What is up to date is not made again.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
WEB := tracker/web
STATIC := tracker/outrider_tracker/static
WEB_SOURCES := $(shell find $(WEB) -path $(WEB)/node_modules -prune -o -type f -print 2>/dev/null) tracker/openapi.json
# The image registry that `make images` pushes to, and the tag; without a registry it only builds.
REGISTRY ?=
TAG ?=
# Which of operator, sidecar, tracker, trainer; without: all are built, and all but the examples' trainer are pushed.
IMAGES ?=
# What `make test` hands to pytest: make test PYTEST="tests/unit -x"
PYTEST ?= -n 2 --dist loadscope

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | column -t -s $$'\t'

.PHONY: demo
demo: prerequisites-demo venv rider web cluster-programs ## a real cluster, Outrider in it, a torchrun job tracked; left running
	$(PYTHON) -m tools.demo up

.PHONY: test
test: prerequisites venv lint check-web rider cluster-programs sdk-venvs ## everything that gates a change
	@# built here and not within a test's time limit; without root there are no nodes to run them on
	@if [[ $$(id -u) == 0 ]]; then $(PYTHON) -m tools.images build; fi
	$(PYTHON) -m pytest $(PYTEST)

.PHONY: compat
compat: prerequisites venv web sdk-venvs ## the tests with the W&B SDK, for every release that is supported
	OUTRIDER_SDK_RELEASES=all $(PYTHON) -m pytest -n 2 --dist loadscope tests/compat

.PHONY: soak
soak: prerequisites venv ## hostile requests at every door of the tracker, ten minutes each
	OUTRIDER_FUZZ_SECONDS=600 $(PYTHON) -m pytest -s tests/fuzz

.PHONY: check-web
check-web: web ## types, style and tests of the web UI
	cd $(WEB) && ../../tools/with-node npm run check

.PHONY: lint
lint: venv ## style, types and layers
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	.venv/bin/lint-imports

.PHONY: bench
bench: demo sdk-venvs ## the benchmark tables (on the demo's cluster, which is left running)
	for script in $$(grep -l __main__ bench/*.py); do echo "== $$script"; $(PYTHON) "$$script"; done

.PHONY: cluster
cluster: prerequisites-cluster venv cluster-programs ## a real Kubernetes on this machine, alone
	$(PYTHON) -m tools.cluster up

.PHONY: clean-cluster
clean-cluster: venv ## takes that down again
	$(PYTHON) -m tools.cluster down

.PHONY: cluster-programs
cluster-programs: venv ## builds Kubernetes, etcd and CoreDNS into the cache (minutes, once)
	$(PYTHON) -m tools.cluster build

.PHONY: images
images: prerequisites-images venv rider web ## builds the images; REGISTRY=… [TAG=…] pushes them
ifeq ($(REGISTRY),)
	$(PYTHON) -m tools.images build $(IMAGES)
else
	$(PYTHON) -m tools.images push --registry $(REGISTRY) $(if $(TAG),--tag $(TAG)) $(IMAGES)
endif

.PHONY: rider
rider: prerequisites-build ## the static program of the sidecar
	$(MAKE) -C sidecar/rider

.PHONY: sdk-venvs
sdk-venvs: venv ## a virtual environment for each W&B SDK release that is supported, in the cache (a minute, once)
	$(PYTHON) -m tools.sdk_venvs >/dev/null

.PHONY: web
web: $(STATIC)/index.html ## the tracker's web UI

$(STATIC)/index.html: $(WEB)/node_modules/.installed $(WEB_SOURCES)
	cd $(WEB) && ../../tools/with-node npm run build
	touch $@

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json
	cd $(WEB) && ../../tools/with-node npm ci --no-audit --no-fund
	touch $@

.PHONY: venv
venv: .venv/.installed ## the development environment, from the lock

.venv/.installed: locks/dev.txt tools/bootstrap.txt pyproject.toml | prerequisites-build
	tools/make-venv
	touch $@

.PHONY: prerequisites prerequisites-build prerequisites-cluster prerequisites-images prerequisites-demo
prerequisites: ## Debian packages that are lacking; asks for root only then
	@tools/install-prerequisites
prerequisites-build:
	@tools/install-prerequisites build
prerequisites-cluster:
	@tools/install-prerequisites build cluster
prerequisites-images:
	@tools/install-prerequisites build images
prerequisites-demo:
	@tools/install-prerequisites build cluster images
