# The developer's loop. Nothing but Python 3.11, make and a C compiler is needed before it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := config transport client actors documents supervisors embed tools testing web
SOURCES := $(PACKAGES) tests examples bench conftest.py

.PHONY: run test simulate check lint types lock install install-dev bench bench-pods bench-faults bench-failover bench-operations bench-chaos soak repeat containers image clean

run: $(VENV)/run.stamp ## install what a pod needs and serve on http://localhost:2403
	@$(BIN)/deployd serve --dev --config config/realtime.json --data data

test: lint types $(VENV)/servers.stamp ## everything that must be true of a commit
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal  # on two cores: a third of the time is waiting

simulate: $(VENV)/dev.stamp ## two thousand runs of whole pods in networks that fail, and what they may never do; three minutes
	@$(BIN)/deployd simulate --seeds $(or $(SEEDS),2000)

check: lint types ## the inner loop: all that needs no server and no pod of its own
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal --without-servers tests/test_architecture.py tests/test_libraries.py \
		$(addprefix tests/,config transport client actors documents supervisors embed)

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)

types: $(VENV)/dev.stamp
	@$(BIN)/mypy $(addprefix -p deployd.,$(PACKAGES))
	@$(BIN)/mypy tests examples bench

bench: $(VENV)/dev.stamp ## print the figures that README.md and the changelog quote
	@$(BIN)/python bench/fanout.py
	@$(BIN)/python bench/way_in.py
	@$(BIN)/python bench/latency.py
	@$(BIN)/python bench/memory.py
	@$(BIN)/python bench/slow_client.py
	@$(BIN)/python bench/changes.py
	@$(BIN)/python bench/rest.py

bench-pods: $(VENV)/dev.stamp ## what other pods cost a pod, up to two hundred; a quarter of an hour
	@$(BIN)/python bench/pods.py

bench-faults: $(VENV)/dev.stamp ## the catalogue of faults against real servers, with the times they take; a quarter of an hour
	@$(BIN)/python bench/faults.py

bench-failover: $(VENV)/dev.stamp ## kill, freeze and restart Redis, RabbitMQ and NATS between two pods; more than an hour
	@$(BIN)/python bench/failover.py $(FAILOVER)

bench-operations: $(VENV)/dev.stamp ## idle crowd, thundering herd, rolling restart behind HAProxy; some three minutes
	@$(BIN)/python bench/idle.py
	@$(BIN)/python bench/herd.py
	@$(BIN)/python bench/rolling.py

# Others lose something, so that it exits with 1 is no error.
bench-chaos: $(VENV)/servers.stamp ## what deployd, Socket.IO and python-socketio lose on one Redis; a quarter of an hour
	@mkdir -p .artifacts
	@$(BIN)/deployd chaos run $(or $(CHAOS),broker-crash broker-frozen way-reset way-blackhole pod-crash) \
		--broker redis --topology single --target deployd --target socketio-redis --target socketio-streams \
		--target python-socketio --at-once 1 --json .artifacts/chaos.json --html .artifacts/chaos.html || test $$? = 1

soak: $(VENV)/dev.stamp ## twenty minutes of load, outages and quiet: does anything grow?
	@$(BIN)/python bench/soak.py $(SOAK)

containers: $(VENV)/dev.stamp ## build deploy/'s image, start compose.yaml with each broker; up to ten minutes
	@tests/containers/run.sh

IMAGE ?= deployd:0.1.0
PYTHON_IMAGE ?= python:3.11-slim-bookworm
image: ## build and push deploy/'s image for amd64 and arm64, and print its digest: make image IMAGE=registry.example/deployd:0.1.0
	@mkdir -p .artifacts
	@docker buildx build --platform linux/amd64,linux/arm64 --provenance=true --sbom=true --push \
		--build-arg PYTHON=$(PYTHON_IMAGE) -f deploy/Dockerfile -t $(IMAGE) --metadata-file .artifacts/image.json .
	@python3 -c 'import json; print(json.load(open(".artifacts/image.json"))["containerimage.digest"])'

repeat: $(VENV)/dev.stamp ## twenty runs of the tests, each in another order
	@for run in $$(seq 20); do \
		$(BIN)/python -m pytest -q --random-order --random-order-seed=$$run || exit 1; done

# A strict editable install shows type checkers what a user will see; it has to be repeated
# when a module, a page or a file of `deployd new` is added, which is why the list of them is a prerequisite.
MODULES := $(shell find $(PACKAGES) \( -name '*.py' -o -name '*.html' -o -path 'web/*' -o -path 'tools/new_project/*' \) -type f -not -path '*/__pycache__/*' | LC_ALL=C sort)
LISTING := $(VENV)/modules.txt

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "deployd needs Python 3.11 or later; name one with 'make PYTHON=python3.11'"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(LISTING): FORCE | $(VENV)/bin/python
	@echo "$(MODULES)" | cmp -s - $@ || echo "$(MODULES)" > $@

FORCE:

# What a pod needs is installed by its hashes, what builds it included: nothing is fetched that
# requirements.lock does not name.
$(VENV)/locked.stamp: requirements.lock | $(VENV)/bin/python
	@$(BIN)/pip install -q --require-hashes -r requirements.lock
	@touch $@

$(VENV)/run.stamp: pyproject.toml $(LISTING) $(VENV)/locked.stamp
	@rm -rf build  # or modules that have moved would still be there
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e . --config-settings editable_mode=strict
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(LISTING) $(VENV)/locked.stamp
	@rm -rf build
	@$(BIN)/pip install -q --no-build-isolation -e '.[dev]' --config-settings editable_mode=strict
	@touch $@ $(VENV)/run.stamp

lock: $(VENV)/dev.stamp ## write requirements.lock anew; LOCK=--upgrade takes newer versions
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
		$(BIN)/uv pip compile --quiet $(LOCK) --universal --python-version 3.11 --generate-hashes --no-header \
			--extra postgres pyproject.toml - --output-file requirements.lock

# What the tests talk to: installed where that is possible, asked for each time where it is not.
$(VENV)/servers.stamp: tests/servers.sh tests/node/package-lock.json $(VENV)/dev.stamp
	@if tests/servers.sh; then touch $@; fi

install: $(VENV)/run.stamp
install-dev: $(VENV)/dev.stamp

clean:
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
