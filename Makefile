# Every target sets up .venv by itself. Two commands matter: `make run` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
TAPE   ?=
SPEED  ?= 60
ARGS   ?=

.PHONY: chaos run test check bench bench-peers clean lock format lint types floors setup setup-run

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
