# Each target works first thing on a machine that has Python 3.11 to 3.13, make and git.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# DVC rewrites its lock file in place; killed just then it leaves an empty one and refuses to start.
UNLOCK := @test -s .dvc/tmp/rwlock || rm -f .dvc/tmp/rwlock
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup repro ucf50 test check serve reload image ui bench lock clean

setup: $(STAMP)  ## Makes .venv from the lock, byte-compiled

# uv itself comes hash-checked from the same lock, by way of pip.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit(f"Python must be 3.11 to 3.13. Received: {sys.version.split()[0]}. Try: make PYTHON=python3.12 setup")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

repro: setup  ## Raw video to a packaged model
	$(UNLOCK)
	dvc repro

ucf50: setup  ## The same on UCF50, 3.2 GB; URL= a mirror, FROM= the archive or an unpacked folder that you have
	python -m pipelines.fetch --select $(if $(URL),--url "$(URL)") $(if $(FROM),--adopt "$(FROM)")
	$(UNLOCK)
	dvc repro

test: setup  ## The whole suite, on two cores
	pytest --numprocesses 2

check: setup  ## Lint, types, and which way imports go
	ruff check .
	ruff format --check .
	mypy
	lint-imports

serve: setup  ## The champion's Bento on port 3000
	python -m serving.release serve --port 3000

reload: setup  ## The newest Bento in its place, while it serves
	python -m serving.release reload

image: setup  ## A container image of it, where there is a Docker engine
	bentoml containerize "$$(python -c 'import yaml; b = yaml.safe_load(open("artifacts/bento/bento.yaml")); print(b["name"], b["version"], sep=":")')"

ui: setup  ## MLflow's pages on port 5000
	mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5000

bench: setup  ## What is fast, measured against what a user would do instead
	python -m benchmarks

lock: setup  ## Resolves the dependencies anew; the files name no package host
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --all-extras --upgrade pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra serve -c requirements.lock pyproject.toml -o serving/requirements.lock

clean:  ## Removes what the pipeline made, but no run, no video and no cache
	rm -rf artifacts reports
