# make book               the whole book, from PARAMS=book/params/paper.yaml, to _build/html/index.html
# make test               lint, tests, every notebook (nbval and papermill), a strict build, the built site
# make refresh            executes the notebooks in place with their defaults, as they are committed
# make pdf                the whole book printed to _build/book.pdf (needs Chromium)
# make mutants            is each line of the package held by a test? an hour or so on two cores
# make serve | lint | lock | clean

PYTHON ?= python3
PARAMS ?= book/params/paper.yaml
PIP_ARGS ?=
PORT ?= 8000

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NBVAL := $(BIN)/python -m pytest --nbval --nbval-current-env -p no:cacheprovider \
  --nbval-sanitize-with tests/nbval.cfg

export OMP_NUM_THREADS ?= 1

.PHONY: book pdf test lint unit notebooks smoke site refresh mutants serve lock clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

book: $(STAMP)
	$(BIN)/python -m vae_book.build --params "$(PARAMS)"

pdf: book
	$(BIN)/python -m vae_book.build.print_book

test: lint unit notebooks smoke book site

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell README.md book tests vae_core vae_book

unit: $(STAMP)
	$(BIN)/python -m pytest -m "not notebooks and not site"

# The committed outputs must follow from the code: nothing is taken from the user's own store, and
# a figure whose run is not committed fails instead of training for an hour.
notebooks: $(STAMP)
	VAE_CORE_TRAIN=never VAE_CORE_CACHE=$(CURDIR)/_build/cache $(NBVAL) book

smoke: $(STAMP)
	$(BIN)/python -m pytest -m notebooks

site: $(STAMP)
	$(BIN)/python -m vae_book.build.check_site _build/html
	$(BIN)/python -m pytest -m site

refresh: $(STAMP)
	VAE_CORE_TRAIN=never $(BIN)/python -m vae_book.build.refresh

mutants: $(STAMP)
	$(BIN)/python tests/mutants.py

serve: book
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

# One pip call takes the exact versions of the lock and what they ask for on this platform.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than Python 3.11; try: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) \
	  -r requirements.lock -e '.[book,test]'
	$(BIN)/python -m pip check
	touch $@

# A new lock: the newest versions that pyproject.toml allows, resolved in an empty environment.
lock:
	rm -rf _build/lock
	$(PYTHON) -m venv _build/lock
	_build/lock/bin/python -m pip install --quiet $(PIP_ARGS) -e '.[book,test]'
	_build/lock/bin/python -m pip freeze --exclude-editable > _build/lock/frozen
	sed 's/+cpu$$//' _build/lock/frozen > requirements.lock

clean:
	rm -rf _build .pytest_cache .ruff_cache
