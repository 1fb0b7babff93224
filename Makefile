# Everything a newcomer needs: `make demo` and `make test` set up what they use.
#
# PyTorch from PyPI brings CUDA, several GB.  On a machine without a GPU, give pip PyTorch's CPU index:
#     make demo TORCH="torch==2.13.0 --index-url <PyTorch's index of CPU wheels, see pytorch.org>"

PYTHON ?= python3
VENV   ?= .venv
TORCH  ?= torch==2.13.0
BIN    := $(VENV)/bin

.PHONY: demo test test-slow bench check model example clean

demo: $(VENV)/.installed        ## transcribe the shipped recordings and compare the words
	$(BIN)/transcribed demo

test: $(VENV)/.tested espeak    ## the whole default suite, under 6 minutes on 2 cores
	$(BIN)/pytest -m "not slow and not gpu"

test-slow: $(VENV)/.tested espeak ## longer runs: a thousand kills, a thousand files, hours of audio
	$(BIN)/pytest -m slow

# Names of parts, or other options, in ARGS: make bench ARGS="recognition"
bench: $(VENV)/.benched espeak ffmpeg ## speed against FunASR and others (about 20 minutes, 4 GB of disk, 6 of memory)
	$(BIN)/python -m tests.benchmarks --out build/benchmarks.json $(ARGS)

check: $(VENV)/.developed       ## style, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

model: $(VENV)/.tested espeak   ## make the demonstration models anew and print their figures (about half an hour)
	$(BIN)/python -m tests.demo_model

example: $(VENV)/.installed     ## write config/transcribed.toml from the model of the configuration
	$(BIN)/transcribed example-config > config/transcribed.toml

clean:
	rm -rf $(VENV) build

# pip alone, and torch first: a resolver that sees only `torch>=2.6` would take the newest, with CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || { echo "On Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install -q $(TORCH)
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	touch $@

$(VENV)/.developed: $(VENV)/.tested
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/.benched: $(VENV)/.tested
	$(BIN)/pip install -q -c constraints.txt -e '.[bench]'
	touch $@

.PHONY: espeak ffmpeg
espeak:                         ## the voice of the tests
	@command -v espeak-ng >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get install -y -qq espeak-ng >/dev/null; } || \
	  { echo "The tests need a voice: apt-get install espeak-ng"; exit 1; }

ffmpeg:                         ## the decoder of those we are compared with
	@command -v ffmpeg >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get install -y -qq ffmpeg >/dev/null; } || \
	  { echo "The benchmarks need FFmpeg's command line: apt-get install ffmpeg"; exit 1; }
