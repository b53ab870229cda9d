# make help lists the targets. Everything lives in .venv; nothing is installed outside of the checkout
# but the system tools of `make test`, and those only in a container or CI (deploy/system-tools.sh).

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT := ltt-out
# Where the corpora are (severity_train.parquet, severity_dev.parquet, codepairs_train.parquet …):
# make corpus builds them.
DATA := $(firstword $(wildcard ../shared/data) corpus)
MODEL_OUT := model-out
# What a larger language model makes of the corpus: three quarters of an hour of one core, kept.
TEACHER = $(MODEL_OUT)/teacher.npz
# A folder of *.log files to mix into the benchmarks: make bench LOGS=/var/log/archive
LOGS :=

# The first python3 that is 3.11 or newer and can make virtual environments.
FIND_PYTHON = for python in $(PYTHON) python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && break; done

.PHONY: help venv run test lint system-tools model corpus bench tutorial fuzz soak clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do \
		printf '  make %-14s %s\n' "$$name" "$$what"; done

venv: $(STAMP) ## Make .venv with ltt-stream in it

$(STAMP): pyproject.toml constraints.txt
	@$(FIND_PYTHON) || { \
		echo "make: needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv);" \
			"name it with make PYTHON=/path/to/python" >&2; exit 1; }; \
	[ -x $(BIN)/python ] || "$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,bench]' </dev/null
	@$(BIN)/python -m compileall -q pipeline models parsers # start-up does not compile them each time
	@touch $@

run: $(STAMP) ## Stream the sample, then what is piped in; Arrow goes to ltt-out
	@deploy/demo.sh $(BIN) $(OUT)

test: $(STAMP) system-tools ## Run the tests (PYTEST_ARGS="-k parser" for some of them)
	$(BIN)/python -m pytest $(PYTEST_ARGS) </dev/null

lint: $(STAMP) system-tools ## ruff, mypy --strict, shellcheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	@! command -v shellcheck >/dev/null || { set -x; shellcheck .ci/run deploy/*.sh; }

system-tools: ## Install the Debian packages that tests use, where it may
	@deploy/system-tools.sh

corpus: $(STAMP) ## Build the training corpora out of public source packages (hours) in corpus/
	$(BIN)/python -m models.training.harvest severity --out corpus $(CORPUS_ARGS)
	$(BIN)/python -m models.training.harvest codepairs --out corpus $(CORPUS_ARGS)

model: $(STAMP) $(TEACHER) ## Retrain the model that ships, on DATA=DIR; says where its figures differ
	OMP_NUM_THREADS=1 $(BIN)/ltt-stream train --corpus $(DATA)/severity_train.parquet \
		--pairs $(DATA)/codepairs_train.parquet --dev $(DATA)/severity_dev.parquet \
		--teacher $(TEACHER) --out $(MODEL_OUT)
	$(BIN)/python -m benchmarks.model_figures --data $(DATA) --model $(MODEL_OUT)/raccoon

$(TEACHER): | $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[teacher]' </dev/null
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m models.training.teacher \
		--corpus $(DATA)/severity_train.parquet --out $@

bench: $(STAMP) ## Measure docs/performance.md and codesearch.md again, hours (LOGS=DIR mixes in more logs)
	$(BIN)/python -m benchmarks.bench_stream --runs 5 $(if $(LOGS),--logs $(LOGS)) --write-docs
	$(BIN)/python -m benchmarks.bench_udp --write-docs
	$(BIN)/python -m benchmarks.bench_latency --write-docs
	$(BIN)/python -m benchmarks.bench_flood --write-docs
	$(BIN)/python -m benchmarks.bench_cold \
		$(if $(wildcard $(DATA)/severity_dev.parquet),--data $(DATA)) --write-docs
	$(BIN)/python -m benchmarks.bench_start --write-docs
	@[ ! -d $(DATA)/codesearch_dev ] || { set -ex; \
		$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[teacher]' </dev/null; \
		HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.bench_codesearch --data $(DATA) --minilm \
		--write-docs; }
	$(BIN)/python -m benchmarks.bench_growth $(if $(LOGS),--logs $(LOGS)) --write-docs
	$(BIN)/python -m benchmarks.profile_stream $(if $(LOGS),--logs $(LOGS)) --write-docs

tutorial: $(STAMP) ## Every command of docs/tutorial.md, the long ones too
	LTT_STREAM_LONG=1 $(BIN)/python -m pytest tests/test_tutorial.py </dev/null

fuzz: $(STAMP) ## The property tests with many more examples
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=fuzz $(PYTEST_ARGS) </dev/null

soak: $(STAMP) ## Ten minutes at a fixed rate: nothing lost, memory flat
	$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

clean: ## Remove .venv, caches and ltt-out
	rm -rf $(VENV) $(OUT) $(MODEL_OUT) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
