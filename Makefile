# make mlqa    the main job: environment (if missing), then results/tables/mlqa.csv
# make all     all tables
# make test    environment (if missing), then the tests, a process per core (at most 8)
# make test-slurm   the tests on a real Slurm on this machine; needs its packages (Debian: slurmctld slurmd slurm-client munge)
# make test-faults   kills at random moments, full disks, damaged files, secrets, the clock (docs/faults.md); an hour
# make fuzz    a minute of random input for the word aligner (FUZZ_SECONDS=60)
# make lint    every static check
# make clean   remove results and generated data (downloads too), keep the environment
#
# PYTHON=...     the Python (>= 3.11) that makes the environment      CORES=...    jobs at a time
# PIP_FLAGS=...  for example --extra-index-url of PyTorch builds without CUDA

PYTHON ?= python3
CORES ?= 8
PIP_FLAGS ?=
BIN := .venv/bin
STAMP := .venv/.weam-stamp
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: mlqa all env test test-slurm test-faults fuzz lint clean

mlqa: env
	snakemake -j$(CORES) results/tables/mlqa.csv

all: env
	snakemake -j$(CORES)

env: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@command -v "$(PYTHON)" > /dev/null \
		|| { echo "weam: there is no $(PYTHON); install Python >= 3.11 (Debian: apt-get install python3 python3-venv)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "weam: $$("$(PYTHON)" --version) is too old; install Python >= 3.11 (Debian 12 or newer: apt-get install python3 python3-venv), or name one: make PYTHON=python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2> /dev/null \
		|| { echo "weam: $(PYTHON) cannot make environments; install its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@for compiler in "$${CXX:-c++}" g++ clang++; do \
		printf '#include <optional>\nint main() { return *std::optional<int>(0); }\n' \
			| $$compiler -std=c++17 -fsyntax-only -x c++ - 2> /dev/null && exit 0; \
		done; echo "weam: there is no C++17 compiler; install one (Debian: apt-get install g++)" >&2; exit 1
	"$(PYTHON)" -m venv .venv
	python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -r requirements.lock
	python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

test: env
	pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test-slurm: env
	pytest tests/slurm --override-ini=addopts="-ra --strict-markers"

test-faults: env
	pytest tests/faults --override-ini=addopts="-ra --strict-markers" -n logical --maxprocesses 8 --dist worksteal

fuzz: env
	pytest -s tests/fuzz_fast_align.py

lint: env
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow/rules
	python -m weam.configdocs --check
	python -m weam.licences --check
	snakemake --lint

clean:
	rm -rf .snakemake data/raw data/hub data/lock
	find results -mindepth 1 ! -name .gitkeep -delete
