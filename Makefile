# Everything a person does here. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without byte code every boot of a ComfyUI takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv demo test test-unit test-comfyui test-browser test-containers lint format soak bench pins sonames frontend clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

venv: $(VENV)/.ready ## the Python environment of the tests and the command

# uv, from the environment's own pip, then does the rest in seconds. The link gives the clone the package's name.
$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -o 'uv==[0-9.]*' requirements.txt)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	mkdir -p $(VENV)/src && ln -sfn ../.. $(VENV)/src/comfy_capsule
	touch $@

demo: venv ## the whole chain on a real ComfyUI, in about five minutes
	$(BIN)/python tests/demo.py

test: lint ## everything: unit, parts with real git and uv, a real ComfyUI, a real browser, a real container engine
	PYTHONPATH=tests $(BIN)/python -m bench.system
	$(BIN)/python -m pytest tests/unit tests/parts -n auto --dist loadfile
	$(BIN)/python -m pytest tests/comfyui tests/browser tests/containers --durations 25

# These tests wait as much as they compute, so there is one process more than cores.
test-unit: venv ## the inner loop, under 20 s
	$(BIN)/python -m pytest tests/unit --timeout 60 -q -n $$(( $$(nproc) + 1 )) --dist loadfile

test-comfyui: venv ## against a real ComfyUI on CPU
	$(BIN)/python -m pytest tests/comfyui

test-browser: venv ## the real front-end in real Chromium
	PYTHONPATH=tests $(BIN)/python -m bench.system
	$(BIN)/python -m pytest tests/browser

test-containers: venv ## a real container engine
	PYTHONPATH=tests $(BIN)/python -m bench.system
	$(BIN)/python -m pytest tests/containers

lint: venv ## style, types, borders between the packages, dead code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(VENV)/src $(BIN)/mypy -p comfy_capsule.packager -p comfy_capsule.server_routes
	PYTHONPATH=$(VENV)/src $(BIN)/lint-imports --no-cache
	$(BIN)/vulture

format: venv ## let ruff lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv ## the figures, or one: make bench NAME=pack
	$(BIN)/python benchmarks/run.py $(NAME)

soak: export COMFY_CAPSULE_SOAK = 1
soak: bench test ## the figures, all tests, every long matrix in full; its result goes into benchmarks/README.md
	$(BIN)/python benchmarks/templates_roundtrip.py 1.45.20 1.53.10
	$(BIN)/python benchmarks/marks_agree.py 1.45.20 1.47.12 1.53.10 1.58.1
	$(BIN)/python benchmarks/executions_lost.py

# uv installs the image's environments and stays out of it, so it is pinned by itself.
PINS := uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --generate-hashes --universal --python-version 3.11

pins: venv ## the exact versions of what the gateway needs in an image
	$(BIN)/$(PINS) --extra cli --extra otel --extra s3 --no-emit-package uv --no-emit-package docker pyproject.toml -o packager/image/gateway-requirements.txt
	grep '^uv==' requirements.txt | $(BIN)/$(PINS) - -o packager/image/uv-requirements.txt

sonames: venv ## which Debian package holds which library, anew from the distribution's own index
	cd tests && ../$(BIN)/python -m bench.sonames

frontend: venv ## test against the newest front-end on the package index from now on
	cd tests && ../$(BIN)/python -m browser.frontends --newest

clean: ## the environment and caches of this clone; the shared bench cache stays
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info artefacts
