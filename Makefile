# `make` lists the targets. Each sets up what it needs first (tools/setup.py), once; docs/setup.md tells how.

VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
BIN = $(VENV)/bin
ARGS ?=
WITH ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-pure test-spark setup-spark lint format check-powerbi dist dist-spark sbom bench bench-setup lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup:  ## make .venv ready: locked packages, Java if there is none, JARs (WITH=postgresql,s3 for more); then offline
	@command -v $(firstword $(PYTHON)) >/dev/null || { \
	  echo "segengine needs Python 3.11 or newer, and there is no $(PYTHON) here (Debian: apt install python3 python3-venv)."; exit 1; }
	@$(PYTHON) tools/setup.py --folder $(VENV) $(if $(filter-out file,$(origin PYTHON)),--this-python) \
	  $(if $(WITH),--with $(WITH))

demo: setup  ## segment 2,469 real households, end to end
	@$(BIN)/segengine demo $(ARGS)

# Tests of a file share what is dear to make, so a file stays in one process.
PROCESSES ?= $(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n > 4 ? 4 : n)))
SIDE_BY_SIDE = --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

test: lint  ## lint, then every test; lists what was skipped and why (ARGS="-k name" for some, PROCESSES=1 for one by one)
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-pure: setup  ## the tests without Spark, in seconds
	@$(BIN)/python -m pytest tests/pure $(ARGS)

# The core suite that every line of Spark must pass; the rest of the tests runs on the line of development only.
SPARK ?= 3.5
SPARK_HERE = $(shell sed -n 's/^pyspark==\([0-9]*\.[0-9]*\).*/\1/p' requirements/lock.in)
SPARK_VENV = $(if $(filter $(SPARK_HERE),$(SPARK)),$(VENV),.venv-spark-$(SPARK))
END_TO_END = tests/spark/test_end_to_end.py::test_
CORE = $(addprefix tests/pure/test_,bridge.py bundle.py catalog.py choose.py files.py imports.py prepare_fit.py \
    publish_pure.py reconcile.py tables.py) \
  $(addprefix tests/spark/test_,read_casts.py read_csv.py read_delta.py read_json.py read_orc.py read_parquet.py \
    read_query.py session.py contract_customers.py contract_mapping.py contract_transactions.py features.py \
    features_customers.py prepare.py model_train.py model_bundle.py scoring_batch.py publish_readers.py) \
  $(addprefix $(END_TO_END),rows_customers_and_money_agree_with_pandas a_shop_with_known_segments_is_recovered \
    delta_holds_the_same_rows_as_parquet) \
  tests/pure/test_groups.py $(addprefix tests/spark/test_model_groups.py::test_,forty_groups_take_as_many_spark_jobs_as_ten \
    plain_pyspark_routes_customers_where_segengine_is_not)

setup-spark:  ## make the environment of another line of Spark (SPARK=3.5, 4.0, 4.1)
	@$(if $(filter $(SPARK_HERE),$(SPARK)),$(MAKE) --no-print-directory setup,$(PYTHON) tools/setup.py --spark $(SPARK) $(if $(WITH),--with $(WITH)))

test-spark: setup-spark  ## the core tests on a line of Spark (SPARK=3.5, 4.0, 4.1, 4.2)
	@$(SPARK_VENV)/bin/python -m pytest $(SIDE_BY_SIDE) $(CORE) $(ARGS)

lint: setup  ## ruff, mypy strict, import-linter
	@$(BIN)/ruff check --quiet && $(BIN)/ruff format --check --quiet && echo "ruff: passed"
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

format: setup  ## let ruff format the code and sort its imports
	@$(BIN)/ruff check --quiet --fix-only && $(BIN)/ruff format

check-powerbi: setup  ## Power BI projects through Microsoft's own readers, with node and npm (ARGS=out/powerbi for yours)
	@$(BIN)/python tools/check_powerbi.py $(ARGS)

dist: setup  ## in dist: a wheel, and archives with Python for clusters without (ARGS="workers" or "all" for one)
	@$(BIN)/python -m hatchling build --target wheel
	@$(BIN)/python tools/pack.py $(ARGS)

dist-spark: setup-spark  ## the archives for clusters of another line of Spark (SPARK=3.5, 4.0, 4.1)
	@$(SPARK_VENV)/bin/python tools/pack.py $(ARGS)

sbom: setup  ## in dist: what a release is made of, as CycloneDX
	@$(BIN)/python tools/sbom.py dist/sbom.cdx.json

LINES ?= 5000000
ROUNDS ?= 3

bench: bench-setup  ## the contest of docs/performance.md (LINES=5000000 ROUNDS=3 ARGS="--contestants segengine")
	@$(BIN)/python -m benchmarks.contest --lines $(LINES) --rounds $(ROUNDS) $(ARGS)

# What only the contestants need lies in a folder of its own, which neither segengine nor its tests import from.
bench-setup: setup  ## install what only the contestants of the benchmarks need
	@cmp -s requirements/bench.txt $(VENV)/share/segengine/bench/installed.txt || { \
	  rm -rf $(VENV)/share/segengine/bench && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: \
	    --target $(VENV)/share/segengine/bench -r requirements/bench.txt && \
	  cp requirements/bench.txt $(VENV)/share/segengine/bench/installed.txt; }

# The files of Maven's central repository that belong to the lock are listed in tools/ivy.xml and tools/jars.sha256.
UV ?= uv
SPARK_LINES = $(patsubst requirements/spark-%.in,%,$(wildcard requirements/spark-*.in))
COMPILE = $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet $(UPGRADE)

lock:  ## write requirements/*.txt anew, with uv (UPGRADE=--upgrade for newer versions)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv (pip install uv), or UV=/path/to/uv"; exit 1; }
	@$(COMPILE) pyproject.toml --extra spark --extra connect --extra demo --extra test --extra lint requirements/lock.in \
	  -o requirements/lock.txt
	@$(COMPILE) --constraint requirements/lock.txt requirements/build.in -o requirements/build.txt
	@for line in $(SPARK_LINES); do \
	  cp requirements/lock.txt requirements/spark-$$line.txt && `# its versions are kept where that Spark takes them` \
	  $(COMPILE) pyproject.toml --extra spark --extra connect --extra test requirements/spark-$$line.in \
	    -o requirements/spark-$$line.txt || exit 1; \
	done
	@$(COMPILE) requirements/java.in -o requirements/java.txt
	@$(COMPILE) requirements/java-21.in -o requirements/java-21.txt
	@$(COMPILE) --constraint requirements/lock.txt requirements/bench.in -o requirements/bench.txt
	@$(COMPILE) --constraint requirements/lock.txt requirements/mlflow.in -o requirements/mlflow.txt
	@$(COMPILE) --constraint requirements/lock.txt requirements/fabric.in -o requirements/fabric.txt
	@$(COMPILE) requirements/moto.in -o requirements/moto.txt
	@$(COMPILE) --constraint requirements/lock.txt requirements/azureml.in -o requirements/azureml.txt
	@$(COMPILE) requirements/online.in -o requirements/online.txt

clean:  ## remove what builds and tests left; .venv stays
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
