# Two commands for a fresh machine: `make demo` and `make test`. Each installs first, once: the demo the package alone, the tests
# what they need besides. Package indexes come from pip's own configuration.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WITH_DEV := $(VENV)/.installed-dev
# Ray reports its use to its makers unless told not to.
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help demo install install-dev test test-fast test-ray test-portable test-browser test-cluster test-chaos check format test-matrix docs clean
.DEFAULT_GOAL := help

help:            ## list the targets
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(INSTALLED)  ## install once, then race two methods against real images on the embedded digits
	$(BIN)/raydistill search digits

install: $(INSTALLED)  ## install the package into .venv, if pyproject.toml changed since

install-dev: $(WITH_DEV)  ## and what tests and checks need

PARTS ?= no-ray ray jobs
test: $(WITH_DEV)  ## install once, then run every test but those of the browser and the cluster; a line for each part at the end
	$(BIN)/python .ci/suite.py $(PARTS)

test-fast: $(WITH_DEV)  ## the tests that need no Ray and no ten seconds: six minutes on two cores
	$(BIN)/python .ci/suite.py fast

test-ray: $(WITH_DEV)  ## the tests that import Ray or start it
	$(BIN)/python .ci/suite.py ray jobs

SETTINGS ?= all
test-portable: $(WITH_DEV)  ## the tests with other CPU kernels and thread counts, and on a busy machine; some: SETTINGS="avx2 busy"
	$(BIN)/python .ci/suite.py $(SETTINGS)

test-browser: $(WITH_DEV)  ## the tests that look at Ray's dashboard and at the page of a study, with Debian's Chromium (apt-get install chromium)
	$(BIN)/python -m pytest -m browser tests/browser

test-cluster: $(WITH_DEV)  ## three hosts out of namespaces, from `ray up` to `ray down`: as root, with the packages that CONTRIBUTING.md names
	$(BIN)/python -m pytest -m cluster tests/cluster --durations 5

SEEDS ?= 20
FIRST_SEED ?= 0
test-chaos: $(WITH_DEV)  ## faults at random moments of whole searches, here and on the three hosts: as root, for hours; fewer: SEEDS=1
	SEEDS=$(SEEDS) FIRST_SEED=$(FIRST_SEED) $(BIN)/python -m pytest -m chaos tests/chaos --durations 5

check: $(WITH_DEV)  ## ruff, its format, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(WITH_DEV)  ## format, and repair what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The oldest versions that pyproject.toml allows; then no Ray; then neither Ray nor Optuna. By hand and in public CI.
test-matrix: OLDEST := .venv-oldest
test-matrix:     ## the oldest allowed versions, then without Ray, then without Optuna; Ray's private parts in each allowed version
	rm -rf $(OLDEST)
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install packaging
	$(OLDEST)/bin/python .ci/oldest.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python .ci/ray_versions.py
	$(OLDEST)/bin/python -m pip install --constraint $(OLDEST)/constraints.txt --editable '.[test]'
	$(OLDEST)/bin/python -m pytest -m "not browser"
	$(OLDEST)/bin/python -m pip uninstall --yes ray
	$(OLDEST)/bin/python -m pytest -m "not ray and not slow and not browser"
	$(OLDEST)/bin/python -m pip uninstall --yes optuna
	$(OLDEST)/bin/python -m pytest tests/core tests/methods

# An environment of its own: the guides are read from the source, so neither torch nor Ray is needed to build them.
DOCS := .venv-docs
docs: $(DOCS)/.installed  ## the guides as a site in build/docs; a broken link, or a table that is not the code's, is an error
	$(DOCS)/bin/python docs/generate.py --check
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

$(DOCS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' > $(DOCS)/requirements.txt
	$(DOCS)/bin/python -m pip install --quiet --requirement $(DOCS)/requirements.txt
	@touch $@

clean:           ## remove what make and the tools made; studies stay
	rm -rf .venv .venv-oldest .venv-docs build dist .pytest_cache .mypy_cache .ruff_cache
	find raydistill tests -name __pycache__ -type d -prune -exec rm -rf {} +

define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python %d.%d found; raydistill needs 3.11 or newer: make PYTHON=python3.11 ..." % sys.version_info[:2])'
$(PYTHON) -m venv $(VENV)
$(BIN)/python -m pip install --editable '$(1)'
endef

# A stamp is written last: an install that was cut short is taken up again.
$(INSTALLED): pyproject.toml
	$(call install,.)
	@touch $@

# In one go with the package: pip looks at all that is there anew at each call.
$(WITH_DEV): pyproject.toml
	$(call install,.[dev])
	@touch $(INSTALLED) $@
