# Two commands for a newcomer: `make demo` and `make test`. Each sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test fuzz benchmark docs site lint format types clean

demo: $(READY)
	$(BIN)/recseg demo --output output/demo

benchmark: $(READY)
	$(BIN)/python benchmarks/run.py

docs: $(READY)
	$(BIN)/python -m recseg_d2.config.reference > docs/configs.md
	$(BIN)/python -m recseg_d2.metrics.reference > docs/metrics.md
	$(BIN)/python -m recseg_d2.model_zoo.page > MODEL_ZOO.md

# The pages of docs/ and the checkout as a site, in build/site.
site: $(READY)
	$(BIN)/python -m mkdocs build --strict

test: lint types
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=20 --durations-min=5

# Ten thousand damaged files, of which `test` reads three hundred.
fuzz: $(READY)
	RECSEG_D2_FUZZ=10000 $(BIN)/python -m pytest tests/fuzz -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy recseg_d2 benchmarks docs/examples
	cd recseg_d2/_embedded && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p detectron2

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) output build *.egg-info
