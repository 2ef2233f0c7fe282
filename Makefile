# scx-slo. `make` lists the targets; CONTRIBUTING.md says how to work with them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

# Which kernels `make test-vm` boots: names from test/vm/kernels.ts, or `all` (of Debian's packages).
KERNELS ?= 7.3

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what a fresh Debian or Ubuntu machine lacks (root or sudo); quick when nothing is missing
	@.ci/setup.sh

build: setup bpf ## compile the BPF objects and bundle agent, webhook and command into build/
	@node build.ts

bpf: setup
	@$(MAKE) -C bpf

demo: build ## the product at work on a real sched_ext kernel in a virtual machine; HOST=1: on this machine's kernel
	@node test/demo/main.ts

bench: build ## every policy side by side in virtual machines: SCENARIOS="a b" POLICIES="a b" RUNS=n; HELP=1 says more
	@$(MAKE) -C test/bench/load
	@node test/bench/main.ts $(if $(HELP),--help)

bench-signal: build ## decisions a second and handler time of the signal process on one core: SECONDS=10
	@node test/bench/signal.ts

bench-signal-node: build ## in a virtual machine: how long a pod waits for a decision, idle and saturated, without and with scx-slo
	@mkdir -p build/bench
	@node test/vm/exec.ts --clock virtual --env CLOCK=virtual --timeout 1200 --out build/bench/signal-node -- node test/bench/signal-node.ts
	@cp build/bench/signal-node/signal-node.json build/bench/signal-node.json

bench-webhook: build ## two webhook replicas under an API server's load, through a rotation and a rolling restart: ARGS="--runs 3"
	@node test/webhook-load/main.ts $(ARGS)

bench-readme: setup ## put the results of `make bench` into README.md
	@node test/bench/readme.ts

test: build ## every test; ends with `N passed, N failed, N skipped`
	@rm -rf build/test
	@status=0; \
	$(MAKE) test-unit || status=1; \
	$(MAKE) test-proxies || status=1; \
	$(MAKE) test-vm || status=1; \
	$(MAKE) test-kube || status=1; \
	node test/summary.ts build/test || status=1; \
	exit $$status

test-unit: build ## unit tests, and native BPF tests where this kernel and user allow them
	@test/conformance/node-18.sh
	@npm run --silent test:unit

test-proxies: setup ## nginx, HAProxy and Caddy of Debian with the shipped snippets; other proxies as documented; Python and Go recipes
	@test/proxies/debian-programs.sh nginx haproxy caddy >/dev/null || true
	@test/proxies/debian-programs.sh golang-go >/dev/null || true
	@vitest run --config test/proxies/vitest.proxies.config.ts

test-vm: build ## the kernel suite in virtual machines: KERNELS="6.16 7.3" or KERNELS=all
	@node test/vm/run.ts --kernels "$(KERNELS)"

test-kube: build ## webhook and agent against a real API server: KUBEBUILDER_ASSETS=DIR, else built once (some 10 minutes)
	@node test/kube/run.ts

test-kube-newer: build ## the same on Kubernetes 1.37, built once from the Go module proxy (some 20 minutes), policies included
	@KUBEBUILDER_ASSETS="$$(test/kube/newer-control-plane.sh)" node test/kube/run.ts

test-image: image manifests ## the image in a virtual machine, as the DaemonSet runs it: does it enforce with these rights alone?
	@test/vm/image/prepare.sh
	@status=0; node test/vm/run.ts --image --kernels "$(KERNELS)" || status=1; rm -rf build/vm/image; exit $$status

image: build ## the OCI image build/image/scx-slo.tar and its SBOM, with buildah; IMAGE=NAME, IMAGE_BASE=registry
	@manifests/image/build.sh

manifests: setup ## render every overlay into build/manifests: OVERLAY=NAME, IMAGE=NAME:TAG, ENFORCE=1, COMPONENTS="a b"
	@manifests/render.sh $(OVERLAY)

install: setup ## install on the cluster of the current kubeconfig: OVERLAY=NAME (no-cert-manager), and as for manifests
	@manifests/render.sh $(or $(OVERLAY),no-cert-manager)
	@"$$(.ci/kubectl.sh)" apply -k build/manifests/$(or $(OVERLAY),no-cert-manager)

uninstall: setup ## remove what `make install` installed: OVERLAY=NAME, COMPONENTS="a b" as installed
	@manifests/render.sh $(or $(OVERLAY),no-cert-manager)
	@"$$(.ci/kubectl.sh)" delete --ignore-not-found -k build/manifests/$(or $(OVERLAY),no-cert-manager)

test-cluster: build image ## the whole product on a real kubelet in a virtual machine with sched_ext (some 10 minutes)
	@node test/kube/run.ts --cluster

test-soak: build ## a minute each of churn, hotplug, realtime hogs, crowds, attaching: SOAK_SECONDS=60 KERNELS=...
	@node test/vm/run.ts --soak --kernels "$(KERNELS)"

verifier-cost: build ## measure the verifier's work for each program and write docs/perf/verifier-cost.json: KERNELS=...
	@node test/vm/verifier-cost-update.ts --kernels "$(KERNELS)"

kernel-6.12: ## build the 6.12 kernel for `make test-vm KERNELS=6.12` (some 10 minutes, then cached)
	@test/vm/kernel-6.12.sh

check: lint typecheck generated test ## what CI runs

lint: setup ## style of TypeScript and shell
	@npm run --silent lint
	@shellcheck -x $$(git ls-files '*.sh' bin .ci/run)

typecheck: setup ## types of everything
	@npm run --silent typecheck

generated: build ## fail when a generated file differs from its source
	@node agent/kernel/layout-generator.ts --check
	@node docs/metrics-generator.ts --check

generate: build ## rewrite the generated files
	@node agent/kernel/layout-generator.ts
	@node docs/metrics-generator.ts

fmt: setup ## format the TypeScript
	@npm run --silent fmt

clean: ## remove what was built here
	@rm -rf build

clean-cache: ## remove kernels, root file systems and libbpf from the cache
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/scx-slo"

.PHONY: help setup build bpf demo bench bench-webhook bench-signal bench-signal-node bench-readme test test-unit test-proxies test-vm test-kube test-kube-newer test-cluster test-image image manifests install uninstall test-soak verifier-cost check lint typecheck generated generate fmt clean clean-cache kernel-6.12
.DEFAULT_GOAL := help
