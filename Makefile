# `make book` and `make test` do all of their own set-up: they need Python 3.11 to 3.13 and make.
# `make help` lists the verbs.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
PROFILE ?= quick
JOBS ?=
MINUTES ?= 60
WHERE ?= local
ENGINE ?= docker
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TORCH := $(VENV)/.torch
WORKFLOW := $(VENV)/workflow
# Several processes, of which each takes one core.
ONE_THREAD := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
# With Snakemake, once `make workflow-plan` has got it.
RECORDER = $(firstword $(wildcard $(WORKFLOW)/bin/python) $(BIN)/python)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# RETRAIN=1 and REEVALUATE=1 take no recorded result for an answer; those of the user's store are taken,
# so that a stopped run goes on. From nothing: with SADEFECT_CACHE set to an empty folder as well.
ifeq ($(RETRAIN),1)
export SADEFECT_RETRAIN := 1
endif
ifeq ($(REEVALUATE),1)
export SADEFECT_REEVALUATE := 1
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book pdf article test test-slow test-cluster install lab notebooks lint record ledger workflow-plan image \
	numerics bench clean

help:  ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Options of make book: PROFILE=smoke|quick|paper RETRAIN=1 REEVALUATE=1 JOBS=n"
	@echo "Options of make record: MINUTES=n, how long to go on; WHERE=local|gpu|slurm|kubernetes"

book: $(INSTALLED)  ## Run the notebooks and build the book at book/_build/html/index.html
	@$(BIN)/python -m book.builder build --profile $(PROFILE) $(if $(JOBS),--jobs $(JOBS))

pdf: $(INSTALLED)  ## Print the whole book as book/_build/sadefect.pdf, with the system's Chromium
	@$(BIN)/python -m book.builder pdf --profile $(PROFILE)

article: $(INSTALLED)  ## Print the replication article as book/_build/article.pdf, from recorded results
	@$(BIN)/python -m book.builder article

test: $(INSTALLED)  ## Run the tests, the smoke book included, on all cores
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto --dist loadfile

test-slow: $(TORCH)  ## Run the slow tests, those of the torch backend included
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto --dist loadfile -m "slow or torch"

test-cluster: $(WORKFLOW)/.installed  ## Run a small paper on a real SLURM on loopback: slurm-wlm and munge, as root
	$(WORKFLOW)/bin/python -m pytest -m "cluster or not cluster" tests/test_workflow.py tests/test_workflow_cluster.py

install: $(INSTALLED)  ## Make the environment in .venv from requirements.lock

lab: $(INSTALLED)  ## Open the notebooks in JupyterLab
	@JUPYTER_CONFIG_DIR=$(CURDIR)/$(VENV)/etc/jupyter $(BIN)/jupytext-config set-default-viewer python
	JUPYTER_CONFIG_DIR=$(CURDIR)/$(VENV)/etc/jupyter $(BIN)/jupyter lab --notebook-dir=. \
		$(if $(filter 0,$(shell id -u)),--allow-root) notebooks

notebooks: $(INSTALLED)  ## Make the .ipynb twins of the notebook scripts
	@$(BIN)/python -m book.builder twins

lint: $(INSTALLED)  ## Check style, format, twins and the workflows of GitHub
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/python -m book.builder twins --check
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --no-progress --quiet .github/workflows

record: $(INSTALLED)  ## Go on with the long runs on the real data in SADEFECT_DATA
	$(RECORDER) -m sadefect record --minutes $(MINUTES) --profile $(WHERE)

workflow-plan: $(WORKFLOW)/.installed  ## Say what the whole paper takes, and what a workflow would do
	$(WORKFLOW)/bin/python -m sadefect reproduce --all --plan --profile paper

image:  ## Build the container that runs sadefect anywhere; ENGINE=docker|podman
	@command -v $(ENGINE) >/dev/null || { echo "error: no $(ENGINE) here; name another: make image ENGINE=podman"; exit 1; }
	$(ENGINE) build --build-arg COMMIT=$$(git describe --always --abbrev=10 --dirty=+ --exclude="*") --tag sadefect:latest .

ledger: $(INSTALLED)  ## After a change of recorded/ or of a rule: write recorded/claims.json and the hashes
	$(BIN)/python -m sadefect.paper.ledger

numerics: $(INSTALLED)  ## After a change of the sources: renew what tests/test_numerics.py holds them to
	$(BIN)/python tests/test_numerics.py

bench: $(INSTALLED)  ## Measure the ratios in benchmarks/; RECORD=1 keeps them for the book
	$(BIN)/python -m benchmarks $(if $(filter 1,$(RECORD)),--record)

clean:  ## Remove what was built, but not .venv and not the store of results
	rm -rf book/_build .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else \
	"error: Python 3.11, 3.12 or 3.13 is needed, found %d.%d; name one: make PYTHON=python3.11" % v)'
	@echo "Installing into $(VENV), about two minutes and 2 GB ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@

# The extras torch and export are in no other verb's way: large, and the lock is without them.
$(TORCH): $(INSTALLED)
	$(PIP) install -qq --no-build-isolation -e ".[torch,export]"
	@touch $@

# Snakemake wants older packages than the lock has: it gets an environment of its own upon the first.
$(WORKFLOW)/.installed: $(INSTALLED)
	$(PYTHON) -m venv $(WORKFLOW)
	@echo "import site; site.addsitedir('$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')')" \
		> $$($(WORKFLOW)/bin/python -c 'import site; print(site.getsitepackages()[0])')/locked.pth
	@$(BIN)/python -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
		print(*extras["workflow"], *extras["bucket"], sep="\n")' > $(WORKFLOW)/requirements.txt
	$(WORKFLOW)/bin/python -m pip install -qq --disable-pip-version-check --no-input -r $(WORKFLOW)/requirements.txt
	@touch $@
