# Two commands do everything on a fresh machine: `make train` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The templates of exported networks are C only when filled in.
C_FILES = $(shell git ls-files '*.c' '*.h' ':!src/spikescan/export/templates')

.PHONY: train test coverage test-slow sanitize bench bench-gpu docs format clean

train: $(STAMP)
	$(BIN)/spikescan train digits

test: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --site-dir $(VENV)/site
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

# Which lines the tests run. Apart from them, since tracing makes all Python a third slower.
coverage: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow" --cov --cov-report=term

test-slow: $(STAMP)
	$(BIN)/pytest -m slow

# The kernels' tests on kernels compiled with AddressSanitizer and UndefinedBehaviorSanitizer.
sanitize: $(STAMP)
	$(BIN)/python tests/ops/sanitize.py

bench: $(STAMP)
	$(BIN)/pip install -q -c constraints.txt -e ".[bench]"
	$(BIN)/pip install -q -c constraints.txt --no-deps spikingjelly
	$(BIN)/spikescan bench run --full --json benchmarks/results.json --markdown docs/benchmark.md; status=$$?; \
	$(BIN)/spikescan bench figures benchmarks/results.json --out docs/img && exit $$status

# On a machine with an NVIDIA GPU and a torch built for it, about a quarter of an hour: tests of the
# GPU kernels, then every GPU case, the shortest first, against SpikingJelly's own choice of kernels,
# FFT forms and flash-linear-attention; then LIF against SpikingJelly's Triton kernels.
bench-gpu: $(STAMP)
	$(BIN)/pip install -q -c constraints.txt -e ".[bench,triton]" flash-linear-attention
	$(BIN)/pip install -q -c constraints.txt --no-deps spikingjelly
	$(BIN)/pytest tests/gpu
	$(BIN)/spikescan bench run --full --repeats 5 --device cuda --json benchmarks/results-gpu.json --markdown docs/benchmark-gpu.md; \
	SJ_LIF_CUDA_IMPLEMENTATION=triton $(BIN)/spikescan bench run gpu-lif-1024 gpu-lif-4096 gpu-lif-16384 --full --repeats 5

docs: $(STAMP)
	$(BIN)/mkdocs serve

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

# torch first and by its exact version, so that a CPU build on the machine is taken as it is.
$(STAMP): pyproject.toml constraints.txt hatch_build.py $(wildcard src/spikescan/ops/*/*.[ch] src/spikescan/ops/*/*/*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q $(shell grep '^torch==' constraints.txt)
	SPIKESCAN_WERROR=1 $(BIN)/pip install -q -c constraints.txt -e ".[test,docs]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) src/spikescan/ops/_core/cpu/lib
