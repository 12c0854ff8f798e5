# The command surface. `make help` lists it; `.ci/run` runs the same targets.
#
# Packages go into .venv at the versions of constraints.txt. A stamp file per set of packages keeps pip from running
# again until pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check -q
STAMPS := $(VENV)/stamps
OUT    ?= axspa-report
# pytest workers
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-needs lint format docs reference validate bench constraints clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

demo: $(STAMPS)/base ## install into .venv, run the axSpA review, say where the report is
	$(VENV)/bin/enthesis review run axspa --out $(OUT)

test: test-needs lint ## lint, then all tests but the slow ones, with nothing skipped
	ENTHESIS_REQUIRE=all $(PY) -m pytest -n $(WORKERS)

test-needs: $(STAMPS)/test ## install what the tests need

lint: $(STAMPS)/test ## check style and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(STAMPS)/test ## mend style and format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

reference: $(STAMPS)/test ## write the generated pages of docs/reference again
	$(PY) docs/generate.py

docs: $(STAMPS)/docs reference ## build the documentation; a warning is an error
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "The documentation is at docs/_build/html/index.html"

validate: $(STAMPS)/docs ## the slow tests, and every claim in validation/
	ENTHESIS_REQUIRE=all $(PY) -m pytest -m slow -n $(WORKERS)
	$(PY) validation/run.py

bench: $(STAMPS)/test ## measure start-up, import and review times
	$(PY) benchmarks/run.py

constraints: ## resolve every dependency again and write constraints.txt
	$(PYTHON) tools/constraints.py

# Debian's python3 cannot put pip into .venv without the package python3-venv; its own pip can.
$(STAMPS)/venv:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "enthesis needs Python 3.11 or newer, and $(PYTHON) is `$(PYTHON) --version`. Name another: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 \
	|| { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(PY) install -q pip; } \
	|| { echo "$(PYTHON) cannot make a virtual environment. On Debian: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/base: pyproject.toml constraints.txt | $(STAMPS)/venv
	@echo "Installing enthesis into $(VENV)"
	@$(PIP) install -e . -c constraints.txt
	@touch $@

$(STAMPS)/test: pyproject.toml constraints.txt | $(STAMPS)/venv
	@echo "Installing enthesis and what its tests need into $(VENV)"
	@$(PIP) install -e '.[test]' -c constraints.txt
	@touch $@

$(STAMPS)/docs: pyproject.toml constraints.txt | $(STAMPS)/venv
	@echo "Installing enthesis and what its tests and documentation need into $(VENV)"
	@$(PIP) install -e '.[test,docs]' -c constraints.txt
	@touch $@

clean: ## remove .venv and everything built
	rm -rf $(VENV) docs/_build .pytest_cache .ruff_cache .hypothesis
