# make demo | make test: both set up .venv first if requirements.lock or pyproject.toml changed since.
# make slow: the tests that make test leaves out; CI runs both.
# make launchers: the extras of docs/cluster.md, Ray and SLURM, into .venv: their tests are in make slow where they are.
# make backbones: the extra `transformers` of docs/backbones.md into .venv, and the tests that need it.
# make coverage: what of src/swapaqa, by lines and branches, make test runs; under 90 % it fails.
# make mutation: whether tests notice a changed operator, number or argument in what the results depend on;
# docs/mutation.md. It takes an hour. Its details afterwards: .venv/bin/mutmut results, .venv/bin/mutmut show MUTANT.
# make docs: the pages of docs/ and the API from docstrings as a site, site/index.html; every link is checked.
# make gpu: what a machine with one GPU is asked, in about ten minutes; answers in outputs/gpu, docs/performance.md.
# make rehearsal: everything from doctor to report on a made-up AQA-7 of true size, an hour or two; docs/performance.md.
# LISTS, CLIPS: folders of AQA-7's lists and of real videos that it is made of.
# make attack: damaged and hostile files for every reader and program, kills, full and read-only disks; docs/reliability.md.
# SECONDS_OF_FILES, KILLS: how long the readers are attacked, how many trainings are killed. ATTACK: more options.
# WORKERS: how many tests run at once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= 2
SECONDS_OF_FILES ?= 300
KILLS ?= 40
LISTS ?= ../shared/data/aqa7
CLIPS ?= ../shared/data/video
# bytecode is kept although a shell may forbid it: hundreds of processes would compile every file again
PYTEST = -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder
test slow coverage backbones: export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test slow coverage mutation launchers backbones docs gpu rehearsal attack lint setup

demo: $(READY)
	$(BIN)/python -m src.demo compare

test: lint
	$(BIN)/python $(PYTEST) -m "not slow"

slow: $(READY)
	$(BIN)/python $(PYTEST) -m slow

coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

mutation: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock --editable '.[mutation]'
	mkdir -p mutants/src
	PYTHONPATH=$(CURDIR)/mutants/src OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children $(WORKERS)
	$(BIN)/mutmut results

launchers: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock --editable '.[ray,slurm]'

# after `make slow`: torchmetrics imports transformers where it is, two seconds more for every process of a test
backbones: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock --editable '.[transformers]'
	$(BIN)/python $(PYTEST) -m slow tests/backbones

docs: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

gpu: $(READY)
	$(BIN)/python -m src.bench gpu data=mtl_aqa

rehearsal: $(READY)
	$(BIN)/python -m src.bench rehearsal --lists $(LISTS) --clips $(CLIPS)

attack: $(READY)
	PYTHONPATH=src OMP_NUM_THREADS=1 $(BIN)/python -m tests.attack --seconds $(SECONDS_OF_FILES) --kills $(KILLS) $(ATTACK)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers $(WORKERS)

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv: about 1.9 GB on the disk, two minutes where packages come quickly; once."
	$(BIN)/pip install --disable-pip-version-check --progress-bar on -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(READY)
