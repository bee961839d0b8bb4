# `make demo` and `make test` need nothing but Python 3.10+ and make: they install what they use into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
comma := ,

.PHONY: demo check test test-oldest test-extras docs dist lint notebooks bench results reliability audit clean

demo: $(READY)
	$(BIN)/python -W ignore -m ulmfit_lib.cli demo --out demo-model

# What to run after every change: lint, and the tests that are not marked as slow. Less than two minutes on two cores.
check: $(READY) lint
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m pytest --numprocesses 2 --dist loadfile -m 'not slow' --ignore tests/extras

test: $(READY) lint
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m pytest --numprocesses 2 --dist loadfile --ignore tests/extras

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Run the notebooks and store what they show.
notebooks: $(READY)
	$(BIN)/python -W ignore notebooks/execute.py

bench: $(READY)
	$(BIN)/python -W ignore benchmarks/token_parity.py
	$(BIN)/python -W ignore benchmarks/speed.py --quick

# Write benchmarks/RESULTS.md and the README's table from benchmarks/results/*.json.
results: $(READY)
	$(BIN)/python benchmarks/results_page.py

# Write the guide's table of formats, by trying each.
formats: $(READY)
	$(BIN)/python benchmarks/formats_table.py

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(READY)

# The lowest version of every dependency that pyproject.toml admits.
test-oldest: .venv-oldest/.installed
	.venv-oldest/bin/python -W ignore -m pytest --ignore tests/extras

.venv-oldest/.installed: pyproject.toml
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-oldest/bin/uv pip install --quiet --python .venv-oldest/bin/python --resolution lowest-direct -e '.[dev]'
	touch $@

# Known vulnerabilities of what is installed, and every package's licence.
audit: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[audit]'
	$(BIN)/pip-licenses --from=mixed --order=license
	$(BIN)/pip-audit --skip-editable --progress-spinner off

# The site, in build/site: guides, notebooks, results and reference. It reads the source and imports nothing of it, so only
# its own tools are installed.
docs: .venv-docs/.installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

# The wheels and sdists of both distributions, in dist.
dist: .venv-docs/.installed
	rm -rf dist
	.venv-docs/bin/python -m build
	.venv-docs/bin/python -m build --outdir dist packaging/predict

# What needs packages that nobody else does, in an environment of its own.
test-extras: docs dist .venv-extras/.installed
	.venv-extras/bin/python -W ignore -m pytest tests/extras

# It sees what .venv holds, so that PyTorch is not installed twice. Spark needs Java (Debian: default-jre-headless).
EXTRAS := mlflow,ray$(if $(shell command -v java),$(comma)spark)
SITE := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
.venv-extras/.installed: $(READY)
	test -x .venv-extras/bin/python || $(PYTHON) -m venv .venv-extras
	$(BIN)/python $(SITE) > "$$(.venv-extras/bin/python $(SITE))/shared.pth"
	.venv-extras/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	touch $@

.venv-docs/.installed: pyproject.toml
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check build 'mkdocs>=1.6,<2' 'mkdocs-jupyter>=0.25' 'mkdocs-material>=9.5' 'mkdocstrings[python]>=0.26' 'ruff>=0.6'
	touch $@

# The counts of the reliability table, an hour or so.
reliability: $(READY)
	$(BIN)/python -W ignore benchmarks/reliability/kills.py --kills 200
	$(BIN)/python -W ignore benchmarks/reliability/corruptions.py --cases 10000
	$(BIN)/python -W ignore benchmarks/reliability/inputs.py --cases 10000
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	$(BIN)/python -W ignore benchmarks/reliability/web.py --cases 2000

clean:
	rm -rf $(VENV) .venv-docs .venv-extras .venv-oldest build dist *.egg-info demo-model
