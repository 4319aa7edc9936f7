# Every target sets up .venv by itself. Two commands matter: `make run` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
TAPE   ?=
SPEED  ?= 60
ARGS   ?=

.PHONY: audit bench bench-peers soak chaos check clean docs floors format image-pin images lint lock run sbom setup setup-run test types

# ccxt is 100 MB of source: compiled once here, instead of at every start where bytecode can't be written.
COMPILE = $(BIN)/python -m compileall -q -j 2 $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/ccxt

# --- environments -----------------------------------------------------------------------------------------
# The development lock holds everything of the training lock, so one environment serves both.
$(UV): requirements/uv.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
	@touch $(UV)

$(VENV)/.dev: $(UV) requirements/dev.lock pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps -e .
	$(COMPILE)
	@touch $(VENV)/.dev $(VENV)/.train

# Setting up for a run does nothing where the development environment is there already.
$(VENV)/.train: $(UV) requirements/train.lock pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/train.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps -e .
	$(COMPILE)
	@touch $(VENV)/.train

setup: $(VENV)/.dev
setup-run: $(VENV)/.train

# --- what people type -------------------------------------------------------------------------------------
run: setup-run
	$(BIN)/bot demo --speed $(SPEED) $(if $(TAPE),--tape $(TAPE),)

test: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal

check: setup format lint types floors test

# Hours: every write of an hour is a death, 500 random fault plans, a day with a fault in every minute.
chaos: setup
	TESTS=all CHAOS=all KILLS=50 LIVE_KILLS=all FAULT_PLANS=500 FAULT_MINUTES=1440 $(BIN)/python -m pytest -n 2 --dist worksteal tests/chaos

bench: setup
	$(BIN)/python -m bench

# Hours: 30 days of 10 symbols; SOAK_DAYS=1 SOAK_SYMBOLS=3 make soak is a look (docs/soak.md).
soak: setup
	$(BIN)/python -m bench.soak

# What others are measured with lives in an environment of its own: their versions are none of our dependencies.
PEERS := var/peers
$(PEERS)/.ready: $(UV) requirements/peers.lock
	$(PYTHON) -m venv $(PEERS)
	$(UV) pip install --quiet --python $(PEERS)/bin/python --require-hashes -r requirements/peers.lock
	@touch $(PEERS)/.ready

bench-peers: setup $(PEERS)/.ready
	$(BIN)/python -m bench.peers $(ARGS)

format: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

# The site of the documents, into var/site; a link that leads nowhere ends it.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

floors: setup
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- maintenance ------------------------------------------------------------------------------------------
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
       --no-annotate --custom-compile-command "make lock"
lock: $(UV)
	$(LOCK) pyproject.toml --extra dev -o requirements/dev.lock
	$(LOCK) pyproject.toml --extra train -c requirements/dev.lock -o requirements/train.lock --no-strip-extras
	$(LOCK) pyproject.toml -c requirements/dev.lock -o requirements/runtime.lock
	$(LOCK) requirements/peers.in -c requirements/dev.lock -o requirements/peers.lock
	echo "uv" | $(LOCK) - -o requirements/uv.lock
	echo "setuptools" | $(LOCK) - -c requirements/dev.lock -o requirements/build.lock

# --- images (docs/docker.md) ------------------------------------------------------------------------------
DOCKER      ?= docker
PYTHON_TAG  ?= python:3.11-slim-bookworm
AUDITED     ?= requirements/runtime.lock requirements/train.lock

# The digest of the base image and a password for Grafana: what compose.yaml needs, each made once.
image-pin:
	$(DOCKER) pull --quiet $(PYTHON_TAG)
	@pin=$$($(DOCKER) image inspect --format '{{index .RepoDigests 0}}' $(PYTHON_TAG)) \
	&& case "$$pin" in *@sha256:*) ;; *) echo "$(PYTHON_TAG) has no digest: $$pin" >&2; exit 1;; esac \
	&& { grep -v '^PYTHON_IMAGE=' .env 2>/dev/null; echo "PYTHON_IMAGE=$$pin"; } > .env.new && mv .env.new .env \
	&& echo "PYTHON_IMAGE=$$pin is in .env"
	@test -e secrets/grafana_admin_password || { mkdir -p -m 700 secrets secrets/bot \
	&& head -c 24 /dev/urandom | base64 > secrets/grafana_admin_password && chmod 444 secrets/grafana_admin_password \
	&& echo "Grafana's password is in secrets/grafana_admin_password"; }

images:
	$(DOCKER) compose build

# The bill of materials of each image, CycloneDX: every package that its lock may install, with hashes.
sbom: setup
	@mkdir -p var/sbom
	for lock in runtime train; do \
	  $(BIN)/python -W ignore -m cyclonedx_py requirements requirements/$$lock.lock --pyproject pyproject.toml \
	    --output-reproducible --output-format JSON --output-file var/sbom/$$lock.json || exit 1; \
	done
	@echo "var/sbom/runtime.json, var/sbom/train.json"

# Known holes in what the locks pin; exit code 3 where the service of advisories can't be reached.
audit: setup
	$(BIN)/python -m bench.dependency_audit $(AUDITED)
