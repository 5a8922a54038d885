# The two commands: `make train` and `make test`. They need Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TENSORFLOW := .venv-tensorflow
ARGS ?=

.PHONY: train test test-slow test-tensorflow lint bench clean

train: $(VENV)/core  ## train a hand-written network on the digits that come with the package
	$(BIN)/chainrule train fully-connected --data digits --hidden 512 256 --normalization batch --dropout 0.4 --label-smoothing 0.1 \
	  --epochs 60 --schedule cosine $(ARGS)

test: $(VENV)/dev  ## the tests, parity with PyTorch included
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal $(ARGS)

test-slow: $(VENV)/dev  ## the proofs that take minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

test-tensorflow: $(TENSORFLOW)/dev  ## the tests that need TensorFlow, in an environment of its own
	$(TENSORFLOW)/bin/python -m pytest tests/benchmarks/test_steps.py::test_tensorflow_computes_the_same_losses \
	  tests/tensorflow tests/test_exports.py $(ARGS)
	$(TENSORFLOW)/bin/python -m pytest tests/lab -k "tf_ or tensorflow" -n 2 --dist worksteal $(ARGS)  # its lab

lint: $(VENV)/dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/basedpyright

bench: $(VENV)/dev  ## the tables of the README, on this machine
	$(BIN)/chainrule bench $(ARGS)

$(VENV)/core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "chainrule needs Python 3.11 or newer; call make PYTHON=python3.12, say")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[torch,onnx,tune,postgresql,explore,lab,pdf,dev,tensorboard]'
	@touch $@

$(TENSORFLOW)/dev: pyproject.toml constraints.txt
	@test -x $(TENSORFLOW)/bin/python || $(PYTHON) -m venv $(TENSORFLOW)
	$(TENSORFLOW)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[torch,onnx,tune,explore,lab,pdf,dev,tensorboard,tensorflow]'
	@touch $@

clean:
	rm -rf $(VENV) $(TENSORFLOW) build dist
