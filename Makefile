# Every target sets the project up first: a Python that fits, .venv, exact versions.
# `make help` lists the targets.

VENV := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test style lint sbc slow simulation compatible bench notebooks docs constraints clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv and install (done by every other target)
	@PYTHON="$(PYTHON)" sh .ci/setup

demo: setup ## impute the simulated popularity study and compare with its truth; ARGS="--data FILE.csv"
	$(VENV)/bayesimpute demo $(ARGS)

# mypy uses one core: the tests begin beside it. numba's cache looks at a function's own file only, and
# kernels call each other across files: what was compiled before the last change of any is thrown away.
test: style ## ruff, mypy and the quick tests; ARGS goes to pytest
	@newest=$$(ls -t bayesimpute/sampling/*.py models/*.py | head -n 1); \
	    find bayesimpute/sampling models -name '*.nb[ic]' ! -newer "$$newest" -delete
	@$(VENV)/mypy & types=$$!; $(VENV)/pytest -n 2 --dist worksteal $(ARGS); tests=$$?; \
	    wait $$types && exit $$tests

# The link gives mypy the package bayesimpute.models, which lives in models/ (ARCHITECTURE.md).
style: setup
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	@ln -sfn ../models bayesimpute/models

lint: style
	$(VENV)/mypy

slow: setup ## the tests that take minutes
	$(VENV)/pytest -m slow $(ARGS)

sbc: setup ## calibrate every model by simulation; table and figure in calibration/; ARGS="--models normal": these alone
	$(VENV)/python benchmarks/calibration.py $(or $(ARGS),--keep)
ifeq ($(strip $(ARGS)),)
	$(VENV)/pytest -m sbc tests/calibration/test_heckman_calibration.py -k independent
	$(VENV)/pytest -m sbc tests/calibration/test_compatible_calibration.py
endif

simulation: setup ## published simulation of values missing not at random; ARGS="--rho 0 0.6 --replicates 100"
	$(VENV)/python benchmarks/simulation.py $(ARGS)

compatible: setup ## imputation compatible with an analysis, chained equations and complete data; ARGS="--designs square"
	$(VENV)/python benchmarks/compatible.py $(ARGS)

bench: setup ## speed against R, start-up times, scaling; prints Markdown tables; ARGS=--keep for the site
	$(VENV)/python benchmarks/seconds.py $(ARGS)
	$(VENV)/python benchmarks/speed.py $(ARGS)
	$(VENV)/python benchmarks/categories.py $(ARGS)
	$(VENV)/python benchmarks/selection.py $(ARGS)
	$(VENV)/python benchmarks/joint.py $(ARGS)
	$(VENV)/python benchmarks/jags.py $(ARGS)
	$(VENV)/python benchmarks/groupings.py --parts speed $(ARGS)
	$(VENV)/python benchmarks/start.py $(ARGS)
	$(VENV)/python benchmarks/scaling.py $(ARGS)

notebooks: setup ## run every notebook from a clean start; with output in notebooks/executed/
	@mkdir -p notebooks/executed
	@for file in $(or $(NOTEBOOKS),$(wildcard notebooks/*.py)); do \
	    name=$$(basename "$$file" .py); echo "$$name"; \
	    $(VENV)/jupytext --quiet --to ipynb --set-kernel python3 --execute --run-path notebooks \
	        --output "notebooks/executed/$$name.ipynb" "$$file" || exit 1; \
	    $(VENV)/jupyter nbconvert --log-level ERROR --to html "notebooks/executed/$$name.ipynb" \
	        || exit 1; \
	done

# Without the paper's data, as in CI: the site shows what anybody can run.
docs: setup ## build the site into docs/_build/html, every cell of its pages executed; minutes the first time
	@PYTHON="$(PYTHON)" sh .ci/setup docs
	BAYESIMPUTE_SHARED=none $(VENV)/sphinx-build --fail-on-warning --quiet --jobs 2 $(ARGS) \
	    --doctree-dir docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

constraints: ## newest versions of everything, tested by hand, written to constraints.txt
	@: >constraints.txt
	@rm -rf .venv
	@PYTHON="$(PYTHON)" sh .ci/setup
	@PYTHON="$(PYTHON)" sh .ci/setup docs
	@{ echo "# The exact versions make installs; \`make constraints\` writes this file anew."; \
	   $(VENV)/python -m pip freeze --all --exclude-editable --exclude pip; } >constraints.new
	@mv constraints.new constraints.txt

clean: ## remove .venv, caches and what demos wrote
	rm -rf .venv build dist bayesimpute-demo simulation bayesimpute.egg-info bayesimpute/models docs/_build docs/api/generated
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
