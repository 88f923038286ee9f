# Every target works on a fresh clone, given Python 3.11 to 3.13, make and git.
PYTHON ?= python3
BIN := .venv/bin
# Once set up with GPU=1, an environment stays so, until: make setup GPU=
GPU ?= $(wildcard .venv/.installed-gpu)
LOCK := requirements$(if $(GPU),-gpu).lock
STAMP := .venv/.installed$(if $(GPU),-gpu)
# A folder has its environment to itself: what is installed there names the folder, programs and code alike. One that came
# along when the project was moved or copied would run the code of the folder that it was made in.
ifneq ($(shell test ! -s $(STAMP) || test "$$(cat $(STAMP))" = "$$(pwd -P)" || echo elsewhere),)
.PHONY: $(STAMP)
AFRESH := rm -rf .venv
PYTHON := $(if $(filter file,$(origin PYTHON)),$(or $(shell python=$$(sed -n 's/^executable = //p' .venv/pyvenv.cfg) && test -x "$$python" && echo "$$python"),python3),$(PYTHON))
endif
PORT ?= 3000
# A registered model that is asked for by name gets a Bento in a folder of its own.
ASKED := .bentoml/asked
PACKAGE_ASKED = $(if $(MODEL),python -m pipelines.package --model "$(MODEL)" --into $(ASKED))
TRIED := .bentoml/tried
BENTO = $(if $(MODEL),--bento $(ASKED))
# The theme prints an advertisement otherwise.
MKDOCS := NO_MKDOCS_2_WARNING=1 mkdocs
# MLflow would start seven processes of 245 MB each for jobs of its GenAI features.
NO_JOBS := MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
define RESOLVE
uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --all-extras $(1) pyproject.toml -o requirements.lock
uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra serve $(1) -c requirements.lock pyproject.toml -o serving/requirements.lock
uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --all-extras $(1) -c requirements.lock --override requirements-gpu-overrides.in pyproject.toml requirements-gpu.in -o requirements-gpu.lock
endef
# As they were typed: make would read a `$` in a path, and the shell a quote.
override FROM := $(value FROM)
override GROUP_PATTERN := $(value GROUP_PATTERN)
override URL := $(value URL)
export FROM GROUP_PATTERN RECIPE URL
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Container images set it. Each stage, worker and test would then compile our modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup git repro learn ucf50 pose test chaos check docs serve try reload image ui runs bench lock youtube locked-youtube clean

help:  ## Lists the targets
	@sed -n 's/^\([a-z0-9]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do printf '  %-8s %s\n' "$$target" "$$text"; done

setup: $(STAMP) git  ## Creates .venv from the lock, byte-compiled; GPU=1 with CUDA, for NVIDIA's GPUs on Linux

# A project that was unpacked from a ZIP: DVC must be told that there is no git repository, and again when there is one.
git: $(STAMP)
	@case "$$(LC_ALL=C git rev-parse --verify HEAD 2>&1)" in \
	*"not a git repository"*) \
	  dvc config --quiet --local core.no_scm true; \
	  echo "This folder is no git repository. Only 'dvc exp run' needs one: git init && git add --all && git commit --message start" >&2;; \
	*"dubious ownership"*) \
	  echo "This git repository belongs to another user, so git, and 'dvc exp run', do not work in it: git config --global --add safe.directory '$$(pwd -P)'" >&2;; \
	*fatal*) \
	  echo "This git repository has no commit, and 'dvc exp run' needs one: git add --all && git commit --message start" >&2;; \
	esac
	@! git rev-parse 2>/dev/null || ! grep -qs no_scm .dvc/config.local || dvc config --local --unset core.no_scm

# pip installs uv, hash-checked from the same lock; uv installs the rest.
$(STAMP): $(LOCK) pyproject.toml
	$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit(f"Python must be 3.11 to 3.13. Received: {sys.version.split()[0]}. Try: make PYTHON=python3.12 setup")'
	$(AFRESH)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	sed -n '/^uv==/,/# via/p' $(LOCK) > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode $(LOCK)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	rm -f .venv/.installed .venv/.installed-gpu
	pwd -P > $@

repro: setup  ## Runs the pipeline, from raw video to a packaged model
	python -m pipelines.repro

learn: setup  ## Learns from your clips: FROM= the folder, RECIPE= another recipe, GROUP_PATTERN= see docs/own-clips.md
	python -m pipelines.learn --recipe "$$RECIPE" --group "$$GROUP_PATTERN" -- "$$FROM"

ucf50: setup  ## The same on UCF50 (3.2 GB); URL= a mirror, FROM= an archive or unpacked folder you already have, RECIPE=
	python -m pipelines.fetch --select $(if $(URL),--url "$$URL") $(if $(FROM),--adopt "$$FROM")
	python -m pipelines.learn --recipe "$$RECIPE"

pose: setup  ## Fetches BlazePose's networks for model.encoder: pose, once on a machine (a wheel of 36 MB)
	python -m pipelines.pose

test: setup  ## The whole test suite, on two cores; a third worker works while tests wait
	pytest --numprocesses 3

chaos: setup  ## Faults injected into stages, stores and service, half an hour; ONLY= words of a fault's name, FRESH=1 starts over
	python -m chaos $(if $(ONLY),--only "$(ONLY)") $(if $(FRESH),--fresh)

check: setup  ## Lint, types, import layers, and the documentation (into site/)
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	$(MKDOCS) build --strict

docs: setup  ## The documentation on port 8000, rebuilt as you write
	$(MKDOCS) serve --dev-addr localhost:8000

serve: setup  ## Serves the champion's Bento; PORT= another port, MODEL= a registered model: NAME, NAME@VERSION or NAME@ALIAS
	$(PACKAGE_ASKED)
	python -m serving.release serve $(BENTO) --port "$(PORT)"

# Beside the server of `make serve`: from copies of its own, on another port.
try: PORT := $(if $(filter file,$(origin PORT)),3001,$(PORT))
try: setup  ## Serves a registered model on port 3001, beside what is being served; MODEL= as for serve, PORT=
	@$(if $(MODEL),,echo "MODEL= must name a registered model, such as make try MODEL=actreel-demo@draft. List them: actreel models" >&2; exit 1)
	python -m pipelines.package --model "$(MODEL)" --into $(TRIED)
	python -m serving.release serve --bento $(TRIED) --home .bentoml/try --port "$(PORT)"

reload: setup  ## Replaces the Bento that is being served with the newest one, without downtime; MODEL= as for serve
	$(PACKAGE_ASKED)
	python -m serving.release reload $(BENTO)

image: setup  ## Builds a container image of the Bento; BUILDER= docker, podman or buildah, BUILD="from=IMAGE ..." its options
	tag="$$(python -m serving.release tag)" && bentoml containerize $(if $(BUILDER),--backend "$(BUILDER)") $(addprefix --opt ,$(BUILD)) "$$tag"

ui: PORT := $(if $(filter file,$(origin PORT)),5000,$(PORT))
ui: setup  ## The MLflow UI on port 5000; PORT= another port
	@python -m actreel.base.ports "$(PORT)" "make ui"
	@python -m actreel.tracking.store "http://localhost:$(PORT)"
	$(NO_JOBS) mlflow ui --backend-store-uri sqlite:///mlflow.db --port "$(PORT)"

# Of DVC's columns (every setting, metric and hash): accuracies, and the settings in which the rows differ.
runs: setup  ## DVC's experiments: accuracies, and the settings that differ; LAST= the number of commits to show
	@dvc exp show --no-pager --only-changed --keep '(mean_pool_)?accuracy(_low|_high)?$$' \
	  --drop '.*/|(?!Experiment|Created|State)[^.]*$$' $(if $(LAST),--num "$(LAST)")

bench: setup  ## The benchmarks, each against the usual way of doing the same
	python -m benchmarks

lock: setup  ## Resolves the dependencies again; the lock files name no package host
	$(call RESOLVE,--upgrade)

youtube: setup locked-youtube  ## Updates yt-dlp, its scripts and deno alone; a running service uses them at once
	$(MAKE) --no-print-directory setup

locked-youtube:
	$(call RESOLVE,$(addprefix --upgrade-package ,yt-dlp yt-dlp-ejs deno))

clean:  ## Removes the pipeline's outputs; keeps MLflow's runs, data/ and DVC's cache
	rm -rf artifacts reports
