# Waybill. `make help` lists the targets.

GO ?= go
# Pinned tools, run from the module proxy so that nothing has to be installed by hand.
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
WORKFLOWCHECK = $(GO) run go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0
# A number of executions, not a time: go test -fuzz may report its own time limit as a failure on a busy machine.
FUZZTIME ?= 20000x
RACE ?=
# Jobs of the long fault test; FAULT_SEED= repeats the choices of a run.
FAULT_JOBS ?= 2000
FAULT_SEED ?=

# How long the doors are fuzzed; FUZZ_SEED=random takes other calls each time, FUZZ_SEED=N repeats a round.
DOORTIME ?= 30s
FUZZ_SEED ?=

.PHONY: help build test test-short test-go wide faults lint workflowcheck replay arrows fuzz fuzz-doors bench scale cover clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/waybill
	$(GO) build -o bin/waybill ./cmd/waybill

test: ## run all tests with every real component this machine can bring up
	@RACE="$(RACE)" test/bin/all

test-short: ## run the tests that need no server: no wide set-up, no random faults, nothing that needs PostgreSQL, MariaDB, MinIO or Temporal
	@RACE="$(RACE)" test/bin/short

test-go: ## run the tests that need nothing but Go
	$(GO) test ./...

wide: ## run Waybill wide on real servers while those fail, the longer form (docs/testing.md)
	WAYBILL_WIDE=long $(GO) test -count=1 -timeout 60m -v ./test/wide

faults: ## run FAULT_JOBS random jobs while everything fails at random (docs/testing.md)
	@WAYBILL_FAULT_JOBS="$(FAULT_JOBS)" WAYBILL_FAULT_SEED="$(FAULT_SEED)" test/bin/faults

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...

workflowcheck: ## look for non-deterministic workflow code
	$(WORKFLOWCHECK) ./workflows/...

replay: ## replay the recorded workflow histories
	$(GO) test -count=1 -run Replay ./workflows/...

arrows: ## check that imports go one way
	$(GO) test -count=1 ./internal/arrows

fuzz: ## run every fuzz target, FUZZTIME executions each
	@test/bin/fuzz $(FUZZTIME)

fuzz-doors: ## drive the documents of all doors with good, bad and ugly calls for DOORTIME
	WAYBILL_FUZZ_TIME="$(DOORTIME)" WAYBILL_FUZZ_SEED="$(FUZZ_SEED)" $(GO) test -count=1 -v -timeout 30m -run TestDoorsTakeAnything ./test/fuzzdoors

scale: ## measure Waybill on real servers with 1, 2 and 4 workers (20 minutes; docs/performance.md)
	$(GO) test ./test/wide -run '^$$' -bench Scale -benchtime 1x -timeout 90m

bench: ## measure jobs per second beside bare Temporal workflows
	$(GO) run ./cmd/waybill bench jobs

cover: ## write coverage.html
	$(GO) test -coverprofile=coverage.out ./internal/... ./api/... ./storage/... ./workflows/... ./activities/...
	$(GO) tool cover -html=coverage.out -o coverage.html

clean: ## remove what the targets made
	rm -rf bin coverage.out coverage.html .ci/cache
