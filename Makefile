# make book               the whole book, from PARAMS=book/params/paper.yaml, to _build/html/index.html
# make test               lint, tests, every notebook (nbval and papermill), a strict build, the built site
# make verify             committed runs against the code: their first rows, and their weights
# make executions         notebooks with unusual parameters: some 110, minutes on two cores
# make nightly            the tests marked nightly: most of these, sweeps killed, a thousand repeats
# make refresh            executes the notebooks in place with their defaults, as they are committed;
#                         NOTEBOOKS="fig2_lower_bound index" takes these only
# make pdf                the whole book printed to _build/book.pdf (needs Chromium)
# make bench              comparisons with other libraries, ten minutes or so, to benchmarks/results;
#                         the last, first_frame, needs a built book and Chromium
# make lowest             the tests of `make unit` with the lowest versions that pyproject.toml allows
# make mutants            is each line of the package held by a test? an hour or so on two cores
# make coverage           which branches of vae_core do the tests of `make unit` take?
# make serve | lint | lock | clean

PYTHON ?= python3
PARAMS ?= book/params/paper.yaml
PIP_ARGS ?=
# Builds of PyTorch for the processor, where this index answers; on Linux the registry's own bring
# gigabytes of CUDA. `make book TORCH_INDEX=` takes those.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PORT ?= 8000

# the conda environment of environment.yml where that is active; no other is touched
VENV := $(if $(filter vae_core,$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX),.venv)
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCHMARKS ?= training growth sweeps footprint hmc importance_sampling first_frame
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile $(PIP_ARGS)
LOWEST := _build/lowest/bin/python
# the files that use a mark: to import all the others takes longer than a page
marked = $(shell grep -l 'mark\.$(1)' tests/test_*.py)
UNIT := "not notebooks and not site and not nightly"
NBVAL := $(BIN)/python -m pytest -n 2 --dist loadfile --nbval --nbval-current-env -p no:cacheprovider \
  -p vae_book._forked --nbval-sanitize-with tests/nbval.cfg

export OMP_NUM_THREADS ?= 1
# The installation compiles none of its 15,000 modules, which would take most of its time; each is
# compiled when it is first imported, if Python may write it down.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: book pdf test lint unit notebooks verify smoke executions nightly site refresh bench mutants \
  coverage lowest serve lock clean
.DELETE_ON_ERROR:

book: $(STAMP)
	$(BIN)/python -m vae_book.build --params "$(PARAMS)"

pdf: book
	$(BIN)/python -m vae_book.build.print_book

# The second half of the build of the book takes one core; what is polite waits until then.
test: $(STAMP)
	$(MAKE) --no-print-directory -j2 POLITE="nice -n 19" lint book
	$(MAKE) --no-print-directory -j1 unit notebooks smoke site

lint: $(STAMP)
	$(POLITE) $(BIN)/ruff check .
	$(POLITE) $(BIN)/ruff format --check .
	$(POLITE) $(BIN)/python -m mypy
	$(POLITE) $(BIN)/codespell *.md book benchmarks tests vae_core vae_book

unit: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m $(UNIT)

# The committed outputs must follow from the code: nothing is taken from the user's own store, no
# data set is needed, and a figure whose run is not committed fails instead of training for an hour.
notebooks: $(STAMP)
	VAE_CORE_TRAIN=never VAE_CORE_CACHE="$(CURDIR)/_build/cache" VAE_CORE_DATA="$(CURDIR)/_build/data" $(NBVAL) book

verify: $(STAMP)
	$(BIN)/vae-core verify --quick --jobs 2

smoke: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m notebooks $(call marked,notebooks)

executions: $(STAMP)
	$(BIN)/python -m pytest -n 2 tests/test_executions.py

nightly: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m nightly $(call marked,nightly)

site: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m site $(call marked,site)

refresh: $(STAMP)
	VAE_CORE_TRAIN=never $(BIN)/python -m vae_book.build.refresh $(NOTEBOOKS)

# Libraries to compare with are no part of the environment that everything else is tested in.
bench: $(STAMP)
	$(PIP) -r requirements.lock -e '.[book,test,benchmarks]'
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

mutants: $(STAMP)
	$(BIN)/python tests/mutants.py

lowest: $(STAMP)
	rm -rf _build/lowest
	$(PYTHON) -m venv --upgrade-deps _build/lowest
	$(BIN)/python tests/lowest.py > _build/lowest/constraints
	test -z "$(TORCH_INDEX)" || $(LOWEST) -m pip install --no-deps --retries 0 --timeout 10 \
	  --index-url $(TORCH_INDEX) $$(grep -E '^torch(vision)?==' _build/lowest/constraints) \
	  || echo "No PyTorch from $(TORCH_INDEX); trying the registry"
	$(LOWEST) -m pip install $(PIP_ARGS) -c _build/lowest/constraints -e '.[book,test]'
	PATH="$(CURDIR)/_build/lowest/bin:$$PATH" $(LOWEST) -m pytest -n 2 --dist loadfile -m $(UNIT) \
	  --deselect tests/test_environment.py::test_lock_is_what_is_installed \
	  --deselect tests/test_build.py::test_the_front_figure_is_that_of_the_stored_runs

# Spawned workers are measured, too; what is measured runs at half the pace.
coverage: $(STAMP)
	@mkdir -p _build/coverage
	$(BIN)/python -m coverage run -m pytest -n 2 --dist loadfile -m $(UNIT)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

serve: book
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

# One pip call takes the exact versions of the lock and what they ask for on this platform. PyTorch
# alone goes before, from its own index; without an answer from there it comes from the registry.
# The newest pip reads so many wheels in a third of the time that one of 2023 takes.
# A second `make` in this clone waits, then finds that nothing is left to do.
ifndef LOCKED
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than Python 3.11; try: make PYTHON=python3.11"; exit 1; }
	@mkdir -p _build
	@$(PYTHON) vae_book/build/locked.py _build/.install $(MAKE) --no-print-directory LOCKED=1 $@
else
$(STAMP): pyproject.toml requirements.lock
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --upgrade-deps $(VENV)
	@echo "Installing requirements.lock into $(VENV): some minutes, most of them for PyTorch"
	test -z "$(TORCH_INDEX)" || $(PIP) --no-deps --retries 0 --timeout 10 --index-url $(TORCH_INDEX) \
	  $$(grep -E '^torch(vision)?==' requirements.lock) \
	  || echo "No PyTorch from $(TORCH_INDEX); trying the registry"
	$(PIP) -r requirements.lock -e '.[book,test]'
	$(BIN)/python -m pip check
	touch $@
endif

# A new lock: the newest versions that pyproject.toml allows, resolved in an empty environment.
lock:
	rm -rf _build/lock
	$(PYTHON) -m venv _build/lock
	_build/lock/bin/python -m pip install --quiet $(PIP_ARGS) \
	  $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch torchvision
	_build/lock/bin/python -m pip install --quiet $(PIP_ARGS) -e '.[book,test]'
	_build/lock/bin/python -m pip freeze --exclude-editable > _build/lock/frozen
	sed 's/+cpu$$//' _build/lock/frozen > requirements.lock

clean:
	rm -rf _build .pytest_cache .ruff_cache
