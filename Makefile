# The one command surface. `make` lists what there is.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Test files at a time. Stacks mostly wait, so as many as there are cores; with more, tests of rebalances wait for cores.
WORKERS ?= 2
READY := .venv/.ready

# Dozens of processes import the same modules; where bytecode is not kept, each compiles them again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup fmt lint types imports check test test-unit test-integration test-browser test-deploy chaos messages roll mutants demo bench triage-report up down engine engine-down clients contracts web manifests image sbom clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(READY) ## Make .venv from the lock; everything else does this by itself

$(READY): requirements.txt
	@echo "making .venv from requirements.txt (once, about a minute)"
	@$(PYTHON) -m venv .venv
	@{ $(BIN)/python -um pip install --disable-pip-version-check --no-color --progress-bar off \
	  --require-hashes -r requirements.txt || echo Failed; } | { $(PROGRESS); }
	@touch $@

# What pip says, in one line that moves on a terminal and one per phase elsewhere. Its complaints come
# on standard error as they are, and the failure ends the pipe.
define PROGRESS
all=$$(grep -c '^[^ #].*==' requirements.txt); seen=0; line='   %s\n'; \
if [ -t 1 ]; then line='\033[K   %s\r'; else echo "   fetching $$all packages"; fi; \
while read -r what name rest; do case $$what in \
  Collecting) seen=$$((seen + 1)); \
    if [ -t 1 ]; then printf "$$line" "fetching $$seen of $$all: $$name"; fi;; \
  Ignoring|Requirement) seen=$$((seen + 1));; \
  Installing) printf "$$line" "installing them";; \
  Failed) exit 1;; \
esac; done; printf "$$line" "ready"; if [ -t 1 ]; then echo; fi
endef

fmt: $(READY) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: $(READY) ## Style
	@$(BIN)/ruff check .

types: $(READY) ## Strict types
	@$(BIN)/mypy

imports: $(READY) ## Who may import whom
	@$(BIN)/lint-imports --no-logo

check: lint types imports test ## Everything CI runs

# In our own order: xdist's begins with the files that have most tests, and ends with one that takes minutes.
test: $(READY) ## All tests, on real Kafkas and Redises of their own
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-unit: $(READY) ## The tests that need nothing
	@$(BIN)/python -m pytest -m "not integration and not browser and not e2e and not live"

test-integration: $(READY) ## The tests on a real Kafka and Redis
	@$(WITH_ENGINE) $(BIN)/python -m pytest -m "integration or e2e"

test-browser: $(READY) ## The customer's pages in Chromium; PICTURES=folder takes pictures of them
	@$(if $(PICTURES),PICTURES="$(PICTURES)") $(BIN)/python -m pytest -m browser

test-deploy: $(READY) ## The image and the manifests in containers, under restarts and kills; root and podman
	@$(WITH_ENGINE) $(BIN)/python -m pytest -m live tests/live

chaos: $(READY) ## Faults under traffic, then an audit; SEED=1,2 ROUNDS=10 PROMISE=PT5S, or MODE=rebalance RECORDS= REBALANCES=
	@$(BIN)/python -m tests.chaos.chaos $(if $(SEED),--seed "$(SEED)") $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(PROMISE),--promise $(PROMISE)) $(if $(MODE),--mode $(MODE)) $(if $(RECORDS),--records $(RECORDS)) \
	  $(if $(REBALANCES),--rebalances $(REBALANCES))

messages: $(READY) ## Messages over providers that fail, while notifiers are killed; MESSAGES=10000 SEED=1
	@$(BIN)/python -m tests.system.message_faults $(if $(MESSAGES),--messages $(MESSAGES)) $(if $(SEED),--seed $(SEED))

roll: $(READY) ## The version before and this one on one store, forward and back; FROM=ref PATCH=file changes the one before
	@ROLL=1 ROLL_FROM="$(FROM)" ROLL_PATCH="$(PATCH)" $(BIN)/python -m pytest -rs tests/e2e/test_roll.py

mutants: $(READY) ## Deliberate faults, each of which its test must find; before a release; ONLY="relay triage"
	@$(BIN)/python -m tests.mutants.campaign $(ONLY)

demo: $(READY) ## The story, live; INPUT=file DATES=keep|shift RATE=per-second [TEXT|DATE|LANGUAGE|ID]_COLUMN= REPORT=path.json TOUR=1
	@$(BIN)/python -m demo $(if $(TOUR),--tour) $(if $(INPUT),--input "$(INPUT)") $(if $(RATE),--rate $(RATE)) \
	  $(if $(DATES),--dates "$(DATES)") \
	  $(if $(TEXT_COLUMN),--text "$(TEXT_COLUMN)") $(if $(DATE_COLUMN),--date "$(DATE_COLUMN)") \
	  $(if $(LANGUAGE_COLUMN),--language "$(LANGUAGE_COLUMN)") \
	  $(if $(ID_COLUMN),--id "$(ID_COLUMN)") $(if $(REPORT),--report "$(REPORT)")

bench: $(READY) ## Rates, ratios and CPU time; REPORT=path.json
	@$(BIN)/python -m bench $(if $(REPORT),--report "$(REPORT)")

triage-report: $(READY) ## How well complaints are understood, on labelled texts; DATA=folder REPORT=path.json MODEL=path.json
	@$(BIN)/python -m bench.triage_report "$(or $(DATA),$${TRIAGE_DATA:?set DATA to the folder with the data sets})" \
	  $(if $(REPORT),--report "$(REPORT)") $(if $(MODEL),--model "$(MODEL)")

up: $(READY) ## Start a local Kafka and Redis that stay
	@$(BIN)/python -m devstack up

down: $(READY) ## Stop them
	@$(BIN)/python -m devstack down

engine: $(READY) ## Get podman, its service and the first images ready, on Debian as root
	@$(BIN)/python -m devstack.engine up

engine-down: $(READY) ## Stop the service
	@$(BIN)/python -m devstack.engine down

# What `make engine` made ready is found by each command that talks to an engine.
WITH_ENGINE = set -a; [ ! -e .run/engine.env ] || . ./.run/engine.env; set +a;

clients: $(READY) ## Judge the API documents by what makes clients of them; needs npm; EXAMPLES=200 before a release
	@$(BIN)/python -m tests.clients $(EXAMPLES)

contracts: $(READY) ## Write docs/reference and the types of the phone app and the board again; the types need npm
	@$(BIN)/python -m shared.ops docs
	@$(BIN)/python -m devstack.web types

web: $(READY) ## Build the phone app and the board into web/dist, if it is not up to date
	@$(BIN)/python -m devstack.web

manifests: contracts ## Write deploy/k8s/rendered again; needs kubectl
	@command -v kubectl >/dev/null || { echo "kubectl is not here: https://kubernetes.io/docs/tasks/tools"; exit 1; }
	@for overlay in dev prod; do kubectl kustomize deploy/k8s/overlays/$$overlay \
	  > deploy/k8s/rendered/$$overlay.yaml || exit 1; done

IMAGE ?= service-check:dev
# The first engine that answers builds; podman and buildah keep the health check only in docker's format.
image: ## Build the phone app, and the image of all services; IMAGE=name:tag ENGINE=docker|podman|buildah BUILD="words for it"
	@$(WITH_ENGINE) for engine in $(or $(ENGINE),$${ENGINE:-docker podman buildah}); do $$engine info >/dev/null 2>&1 && break; engine=; done; \
	case "$$engine" in \
	  "") echo "no container engine answers: start docker, podman or buildah" >&2; exit 1;; \
	  docker) build="docker build";; \
	  *) build="$$engine build --format docker";; \
	esac; \
	$(PYTHON) -m devstack.web || exit 1; \
	$$build $$ENGINE_BUILD $(BUILD) -f deploy/images/Containerfile -t $(IMAGE) \
	  --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
	  --build-arg REVISION=$$(git rev-parse HEAD) .

sbom: $(READY) ## List what is in the image, and refuse unknown licences and secrets; IMAGE=name:tag
	@$(WITH_ENGINE) $(BIN)/python -m devstack.sbom --image $(IMAGE)

clean: ## Remove what was made here
	@[ ! -e .run/stack.env ] || $(BIN)/python -m devstack down
	@[ ! -e .run/engine.env ] || $(BIN)/python -m devstack.engine down
	@rm -rf web/dist web/node_modules web/contracts/node_modules .venv .run .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
