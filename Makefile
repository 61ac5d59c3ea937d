# make quickstart: everything from an empty clone to scored images.   make test: the tests;
# make wide: those that recompute the released code at its own widths.
PYTHON ?= python3
VENV ?= .venv
# Tests at a time; four on four cores take half as long as two on two.
WORKERS ?= 2
BIN := $(VENV)/bin

.PHONY: quickstart test wide bench faults fuzz lint types install clean

quickstart: install
	$(BIN)/python -m t2igan benchmark experiments/quickstart.yaml

test: install
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile -m "not wide"

# What takes long and seldom changes: recordings of the released code at its own widths and of its plain steps, in
# float64, and the rehearsal of benchmarks.gpu.
wide: install
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m wide

# Kills, stop signals, full disks, damaged and hostile files, tried many times over; prints probe | tried | survived.
faults: install
	T2IGAN_FAULTS=long $(BIN)/python -m pytest tests/faults

# The table of bad input, and every reader and verb on harmed files: twenty times as many as in CI, others each time:
# about 40 minutes on one core.
fuzz: install
	T2IGAN_FAULTS=long $(BIN)/python -m pytest tests/faults/test_bad_values.py tests/faults/test_fuzz.py

bench: install
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.parts

lint: install
	$(BIN)/python -m pip install --quiet "ruff>=0.16,<0.18"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# basedpyright is pyright with its JavaScript in the wheel: nothing is downloaded at its first run.
types: install
	$(BIN)/python -m pip install --quiet "basedpyright>=1.40,<1.41"
	$(BIN)/basedpyright --pythonpath $(BIN)/python --level error

install: $(VENV)/installed

$(VENV)/installed: requirements.txt setup.py pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "t2igan needs Python 3.10 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
