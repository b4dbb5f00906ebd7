# Every target sets up what it needs. ARGS are passed on: make demo ARGS="--once --port 5001"
.PHONY: help demo test check image cluster bench soak fuzz kube keycloak traefik format refresh lock clean
ARGS ?=
# Otherwise each process that imports MLflow compiles it again, for seconds.
unexport PYTHONDONTWRITEBYTECODE

help: ## this list
	@sed -n 's/^\([a-z]*\): *## /  make \1	/p' Makefile | expand -t 18

demo: ## a guarded MLflow with two teams and a tour, on this machine
	@scripts/setup demo
	@.venv/bin/workspace-authz demo $(ARGS)

test: ## everything that must hold (ARGS go to pytest); .ci/run calls it
	@scripts/test $(ARGS)

check: ## the quick checks only: format, lint, types, imports, generated files
	@scripts/setup dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	scripts/generated --check

image: ## the container image and its bill of materials, with docker, podman or buildah
	@scripts/image $(ARGS)

cluster: ## the tests in real pods, as root on Debian and without Docker (ARGS=--stay: a cluster to use by hand)
	@scripts/cluster $(ARGS)

bench: ## guarded against unguarded MLflow, in figures
	@scripts/setup dev
	@.venv/bin/python -m bench $(ARGS)

fuzz: ## what the tests try against isolation, invalidation and time, for longer and with another seed each time
	@scripts/setup dev
	@seed=$${FUZZ_SEED:-$$(date +%s)}; echo "FUZZ_SEED=$$seed"; \
	FUZZ_SEED=$$seed FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-100} .venv/bin/pytest -q -x tests/fuzz $(ARGS)
	@seed=$${INVALIDATION_SEED:-$$(date +%s)}; echo "INVALIDATION_SEED=$$seed"; \
	INVALIDATION_SEED=$$seed INVALIDATION_PLANS=$${INVALIDATION_PLANS:-25} .venv/bin/pytest -q -x tests/invalidation -k while
	@.venv/bin/python -m tests.fuzz.costly --seed "$${COSTLY_SEED:-$$(date +%s)}"

soak: ## 200 clients for two minutes while RBAC keeps changing: nothing wrong is allowed
	@scripts/setup dev
	@.venv/bin/python -m bench.soak $(ARGS)

kube: ## build kube-apiserver, etcd and kubectl; prints their directory
	@scripts/setup dev
	@PYTHON=.venv/bin/python scripts/kube

keycloak: ## fetch Keycloak by Maven and prepare it; prints its directory
	@scripts/keycloak

traefik: ## build Traefik, and run the tests of forward-auth with it as well (minutes; not in make test)
	@scripts/setup dev
	@TRAEFIK="$$(PYTHON=.venv/bin/python scripts/traefik | tail -n 1)/traefik"; export TRAEFIK; \
	.venv/bin/pytest -q tests/doors/forward_auth tests/scenarios/test_forward_auth.py $(ARGS)

format: ## format, and mend what ruff can mend
	@scripts/setup dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

refresh: ## write the generated files again
	@scripts/setup dev
	scripts/generated

lock: ## compile requirements/ again (ARGS=--upgrade for newer versions)
	scripts/lock $(ARGS)

clean: ## remove what the targets made in the work tree
	rm -rf .venv .venv-3.16 .venv-3.18 .venv-clients .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
