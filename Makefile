# `make` alone lists the targets. Everything but `lock` installs only what the lock files pin.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-unit e2e pictures node image nightly chaos chaos-shards bench fuzz sbom bundle check docs format reference lock clean \
  run install uninstall deploy undeploy docker-build docker-push bundle-build bundle-push catalog-build catalog-push release

# The Python that makes .venv and build/lock: 3.11 or newer.
PYTHON ?= python3
# Where `make demo` runs: embedded (in memory), or kube (a real kube-apiserver, which it gets as `make test` does).
CLUSTER ?= embedded
# How many processes share the tests, by files: half of their time is waiting, so more than there are cores.
WORKERS ?= 3
# How long `make fuzz` goes on.
FUZZ_SECONDS ?= 60

# The names of operator-sdk's Makefiles. pyproject.toml says whose registry, engine/__init__.py which version.
VERSION ?= $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' engine/__init__.py)
IMAGE_TAG_BASE ?= $(shell sed -n 's/^image = "\([^"]*\)".*/\1/p' pyproject.toml)
IMG ?= $(IMAGE_TAG_BASE):v$(VERSION)
BUNDLE_IMG ?= $(IMAGE_TAG_BASE)-bundle:v$(VERSION)
CATALOG_IMG ?= $(IMAGE_TAG_BASE)-catalog:v$(VERSION)
# Oldest first.
BUNDLES ?= bundle
CONTAINER_TOOL ?= $(firstword $(foreach tool,buildah podman docker,$(if $(shell command -v $(tool)),$(tool))))
KUBECTL ?= kubectl

BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/python -m pytest
# In the order of the files, which begins with those that wait longest.
SHARED := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

DEMO_embedded := $(BIN)/rulepack demo && echo '(in this checkout: $(BIN)/rulepack demo --console)'
DEMO_kube := $(BIN)/python -m tests.cluster.demo && echo 'In a browser, on a cluster in memory: $(BIN)/rulepack demo --console'

demo: $(READY) ## Run the demo on a cluster in memory; CLUSTER=kube: on a real kube-apiserver
	@$(or $(DEMO_$(CLUSTER)),$(error CLUSTER is embedded or kube, not '$(CLUSTER)'))

test: $(READY) ## All tests but e2e, also those against a real kube-apiserver
	$(BIN)/python -m tests.controlplane.plane
	$(BIN)/python -m tests.controlplane.kubectl
	$(BIN)/python -m tests.controlplane.kstatus
	$(BIN)/python -m tests.controlplane.actionlint
	$(BIN)/python -m tests.controlplane.controllers
	$(BIN)/python -m tests.controlplane.olm
	$(BIN)/rulepack test rules --min-coverage 100
	$(BIN)/rulepack test examples/packs --min-coverage 100
	$(PYTEST) $(SHARED) -m "not e2e and not node and not nightly" --durations=10

test-unit: $(READY) ## The tests that need no kube-apiserver
	$(BIN)/rulepack test rules --min-coverage 100
	$(BIN)/rulepack test examples/packs --min-coverage 100
	$(PYTEST) $(SHARED) -m "not cluster and not e2e and not node and not nightly"

e2e: $(READY) ## Beside the real Argo CD and KServe, installed by the real OLM (needs redis-server, prometheus, nginx, chromium and npm; builds all once, 15 minutes)
	$(BIN)/python -m tests.controlplane.plane
	$(BIN)/python -m tests.controlplane.controllers
	$(BIN)/python -m tests.controlplane.argocd
	$(BIN)/python -m tests.controlplane.kserve
	$(BIN)/python -m tests.controlplane.olm --all
	$(BIN)/python -m tests.controlplane.oauth2_proxy
	$(BIN)/python -m tests.browser.packages
	$(PYTEST) $(SHARED) -m "e2e and not nightly" --durations=10

pictures: $(READY) ## Take the pictures of the docs anew, in Debian's Chromium (needs chromium, prometheus and npm), in 5 minutes
	RULEPACK_PICTURES=1 $(PYTEST) tests/browser/test_pictures.py
	$(BIN)/python -m tests.browser.terminal

nightly: $(READY) ## What the others leave out: Argo CD 3.2, Kubernetes 1.37, the last release, slow tests; 30 minutes, and 15 to build, once
	ARGOCD_VERSION=3.2 $(BIN)/python -m tests.controlplane.argocd
	ARGOCD_VERSION=3.2 $(PYTEST) $(SHARED) -m "argocd and not nightly" --durations=10
	KUBERNETES_VERSION=1.37 $(BIN)/python -m tests.controlplane.plane
	KUBERNETES_VERSION=1.37 $(BIN)/python -m tests.controlplane.kubectl
	KUBERNETES_VERSION=1.37 $(BIN)/python -m tests.controlplane.controllers
	KUBERNETES_VERSION=1.37 $(PYTEST) $(SHARED) -m "(cluster or e2e) and not nightly" --durations=10
	$(BIN)/python -m tests.controlplane.gitops
	$(BIN)/python -m tests.controlplane.olm --sdk
	$(PYTEST) -m nightly --durations=10
	$(BIN)/python -m tests.node tests/node/test_released.py

node: $(READY) ## In pods of the real image, on a real node (needs root and Debian packages, which it names; about 10 minutes)
	$(BIN)/python -m tests.node $(ARGS)

image: $(READY) ## Build the image with buildah, podman or docker; ARGS='--tag NAME' and the builder's own options
	$(BIN)/python scripts/image.py $(ARGS)

chaos: $(READY) ## Kill, fault and pause the engine for up to 15 minutes; ARGS='--only faults --seed N --kills N --seconds N'
	$(BIN)/python -m tests.controlplane.plane
	$(BIN)/python -m tests.chaos $(ARGS)

chaos-shards: $(READY) ## Let three, two and four shards have 10,000 jobs, for about 5 minutes; ARGS='--jobs N'
	$(BIN)/python -m tests.controlplane.plane
	$(BIN)/python -m tests.chaos.shards $(ARGS)

bench: $(READY) ## Measure the engine beside its peers, for docs/performance.md, in 40 minutes; ARGS='--quick --only PART'
	$(BIN)/python -m tests.controlplane.plane
	$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(READY) ## Feed mutated texts to parse, lint and evaluate, for FUZZ_SECONDS
	@test -d build/fuzz/atheris \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --target build/fuzz 'atheris==3.0.0'
	PYTHONPATH=build/fuzz $(BIN)/python -m tests.fuzz.packs -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=500 -max_len=4096

sbom: $(READY) ## Write what the image holds as CycloneDX, from the lock, to build/sbom.cdx.json
	$(BIN)/python scripts/sbom.py build/sbom.cdx.json

bundle: $(READY) ## Write the OLM bundle of the engine's version from config/
	$(BIN)/python scripts/project.py
	$(BIN)/python scripts/bundle.py $(VERSION)

release: $(READY) ## Make a release in dist/VERSION, commit and tag it: make release VERSION=0.2.0; ARGS for the image's builder
	$(BIN)/python scripts/release.py prepare $(VERSION)
	$(MAKE) check test e2e node
	$(BIN)/python scripts/release.py build $(ARGS)

run: $(READY) ## Run the operator here, on the cluster of your kubeconfig; ARGS='--dry-run'
	$(BIN)/rulepack run $(ARGS)

# There is no CustomResourceDefinition of its own unless config/crd is there.
install uninstall: ## Add or delete the operator's own CustomResourceDefinitions, where it has some
	@$(if $(wildcard config/crd),$(KUBECTL) $(if $(filter install,$@),apply,delete --ignore-not-found) -k config/crd,\
	  echo '$@: rulepack owns no CustomResourceDefinition, so there is nothing to do')

deploy: ## Deploy config/default with the image IMG to the cluster of your kubeconfig
	$(KUBECTL) kustomize config/default | sed 's|^\( *image: \).*|\1$(IMG)|' | $(KUBECTL) apply -f -

undeploy: ## Delete what `make deploy` made
	$(KUBECTL) delete --ignore-not-found -k config/default

docker-build: $(READY) ## Build the image as IMG; ARGS for the builder
	$(BIN)/python scripts/image.py --tag $(IMG) $(ARGS)

docker-push: ## Push IMG
	$(CONTAINER_TOOL) push $(ARGS) $(IMG)

bundle-build: ## Build the image of the bundle as BUNDLE_IMG
	$(CONTAINER_TOOL) build -f bundle.Dockerfile -t $(BUNDLE_IMG) .

bundle-push: ## Push BUNDLE_IMG
	$(CONTAINER_TOOL) push $(ARGS) $(BUNDLE_IMG)

catalog-build: $(READY) ## Build the image of a catalog of BUNDLES, oldest first, as CATALOG_IMG
	$(BIN)/python scripts/catalog.py build/catalog $(BUNDLES)
	$(CONTAINER_TOOL) build $(ARGS) -f build/catalog/catalog.Dockerfile -t $(CATALOG_IMG) build/catalog

catalog-push: ## Push CATALOG_IMG
	$(CONTAINER_TOOL) push $(ARGS) $(CATALOG_IMG)

check: $(READY) ## Lint, formatting, types, import layers, locks, subjects of commits, language of the docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/lock.py --check
	$(BIN)/python scripts/commits.py
	$(BIN)/python scripts/prose.py
	$(BIN)/python scripts/argocd_config.py --check
	$(BIN)/python scripts/reference.py --check
	$(BIN)/python scripts/project.py --check
	$(BIN)/python scripts/bundle.py --check
	$(BIN)/rulepack lint --strict rules examples/packs
	@find engine -name '*.py' -exec wc -l {} + \
	  | awk '$$2 != "total" && $$1 > 300 {print "check: " $$2 ": " $$1 " lines, expected at most 300: " \
	    "give one concern a module of its own"; long = 1} END {exit long}' >&2
	@! grep -rniE 'argo|notebook|kserve|inference' engine --include='*.py' \
	  || { echo 'check: the engine knows no domain: these lines belong in rules/' >&2; exit 1; }
	@! git grep --untracked -nIE 'pyp[i]\.org|pythonhoste[d]|(proxy|sum)\.golan[g]|npmj[s]\.|mave[n]\.org|debia[n]\.org' \
	  || { echo 'check: name no package registry: every machine installs from the one it is set up for' >&2; exit 1; }

docs: $(READY) ## Build the site of docs/ in build/site, and check each link and anchor
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(READY) ## Format the code and sort its imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(READY) ## Write docs/reference/ and config/rbac/ from the code and the rules
	$(BIN)/python scripts/reference.py

lock: ## Resolve the lock files after a change of dependencies in pyproject.toml
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check 'pip-tools==7.6.2'
	build/lock/bin/python scripts/lock.py

clean: ## Remove what the other targets made in this folder
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A new lock means a new .venv, so that nothing stays that is no longer locked; a change of pyproject.toml alone is quick.
.venv/.locked: requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed, this one is older; name another: make PYTHON=python3.11' >&2; exit 1; }
	@echo 'Setting up .venv (once per lock file, up to four minutes) …'
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(READY): .venv/.locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
