# make serve   set everything up, train the default model if there is none, and serve it on port 3000
# make test    set everything up and run the tests
# make check   formatting, lint and types
# make hydrate fetch the text of the real passages, which the repository only points at
# make retrain train on all that is here, evaluate, register, and promote; make bento builds the Bento
# make bench   compare the service with others; needs wrk (see bench/README.md)
# make lock    pin anew the versions that CI runs with

PYTHON ?= python3
BIN := .venv/bin
export BENTOML_DO_NOT_TRACK = true

.PHONY: serve test check hydrate retrain bento bench lock clean

serve: .venv/ready
	@$(BIN)/python -m models promoted > /dev/null 2>&1 || $(BIN)/python -m training
	$(BIN)/bentoml serve . --port 3000

test: .venv/ready
	$(BIN)/python -m pytest

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy data models eval training serving bench tests

hydrate: .venv/ready
	$(BIN)/python -m data hydrate

retrain: .venv/ready
	$(BIN)/python -m training

bento: .venv/ready
	$(BIN)/bentoml build

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

bench: .venv/ready
	$(BIN)/python -m bench.serving

lock:
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --editable '.[dev]'
	( echo '# The versions that CI runs with. `make lock` writes this file anew.'; \
	  .venv-lock/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' ) > constraints.txt
	rm -rf .venv-lock

clean:
	rm -rf .venv runs reports build *.egg-info
