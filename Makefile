# Every word here means the same on a laptop and in CI (.ci/run). Each target does its own set-up.
.PHONY: check build test race race-full lint fmt fmt-check archtest generate generate-check aws-models demo bench bench-short bypass clients clients-aws clients-queues cloud queues mutants fuzz crash loss regress release clean setup help
.DEFAULT_GOAL := check

GO       ?= go
FUZZTIME ?= 60s
LOSS     ?= 100000
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

check: fmt-check lint archtest test ## everything that a change must pass

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## the Debian packages that everything below needs
	@scripts/setup.sh

cloud: setup ## the servers and clients of AWS APIs that others wrote, for the tests of e2e/cloud
	@GO="$(GO)" scripts/cloud.sh

queues: setup ## the stock clients of AMQP and NATS, and a newer nats-server, for the tests of e2e/queues
	@GO="$(GO)" scripts/queues.sh

build: setup ## bin/gatehouse
	$(GO) build -o bin/gatehouse ./cmd/gatehouse

test: setup cloud queues ## all tests, unit and end to end, against real servers that they start themselves
	$(GO) test -count=1 -timeout 20m ./...

# The detector has a process wait for a second at its end by default. The house rules are read off the source: it finds nothing there.
race: setup cloud queues ## all tests under the race detector, with fewer of the long rounds (see CONTRIBUTING.md)
	GORACE=atexit_sleep_ms=50 $(GO) test -count=1 -race -short -timeout 30m $$($(GO) list ./... | grep -v /internal/archtest$$)

race-full: setup cloud queues ## the same with every round: takes twice as long and more
	GORACE=atexit_sleep_ms=50 $(GO) test -count=1 -race -timeout 60m ./...

archtest: ## the house rules
	$(GO) test ./internal/archtest

fmt: ## format all code
	gofmt -w $$(git ls-files '*.go')

fmt-check: ## fails where code is not formatted
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "run make fmt: not formatted:"; echo "$$out"; exit 1; }

lint: setup bin/golangci-lint ## the linters of .golangci.yml
	bin/golangci-lint run ./...

bin/golangci-lint: tools/go.mod tools/go.sum
	$(GO) build -C tools -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch bin/golangci-lint

generate: setup ## everything that is generated and committed
	$(GO) generate ./...

generate-check: generate ## fails where generated code is not current
	git diff --exit-code
	@new=$$(git ls-files --others --exclude-standard); test -z "$$new" || { echo "generated, but not committed:"; echo "$$new"; exit 1; }

aws-models: ## the table of AWS services, from botocore's published descriptions (BOTOCORE=folder of its data)
	$(GO) run ./scripts/awsmodels -from "$${BOTOCORE:-$$(python3 -c 'import botocore, os; print(os.path.join(os.path.dirname(botocore.__file__), "data"))')}" \
		-to internal/protocol/aws/models/services.txt.gz

demo: build ## the story, told with the real psql and curl against servers of its own (DEMO_EXIT=1 ends by itself)
	@$(GO) run ./demo -gatehouse bin/gatehouse

bench: build ## against the server, PgBouncer and a plain relay, as ratios, into docs/benchmarks.md (BENCH='-scenarios a,b')
	@scripts/setup.sh bench
	$(GO) build -o bin/ ./bench/relay ./bench/reverse
	$(GO) run ./bench -gatehouse bin/gatehouse -relay bin/relay -date $$(date -u +%F) -write docs/benchmarks.md $(BENCH)

bench-short: build ## that the benchmarks run: little of everything, figures mean nothing
	@scripts/setup.sh bench
	$(GO) build -o bin/ ./bench/relay ./bench/reverse
	$(GO) run ./bench -gatehouse bin/gatehouse -relay bin/relay -short -rounds 1 -slice 50ms

bypass: setup ## every attack on masks and guardrails, and what has to work in spite of them, as a score
	@score=$$(mktemp); export BYPASS_SCORE=$$score; test ! -t 1 || export BYPASS_COLOUR=1; \
		$(GO) test -count=1 -timeout 15m ./e2e/bypass; code=$$?; cat $$score; rm -f $$score; exit $$code

clients: ## every stock driver times every feature, through the gateway (CLIENTS='-only JDBC' or '-o json')
	@scripts/setup.sh clients
	@cd e2e/clients/node && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2; }
	@$(GO) run ./scripts/clients $(CLIENTS)

clients-aws: ## every stock client of AWS APIs, at servers of them and through the gateway: it has to see the same (CLIENTS='-only boto3')
	@scripts/setup.sh clients
	@$(GO) run ./scripts/clientsaws $(CLIENTS)

clients-queues: queues ## every stock client of AMQP and NATS, at the brokers and through the gateway: it has to see the same (CLIENTS='-only Pika')
	@$(GO) run ./scripts/clientsqueues $(CLIENTS)

mutants: setup ## removes each check in turn: a named test must turn red
	MUTANTS=1 $(GO) test -count=1 -timeout 60m -v -run '^TestMutants$$' ./e2e/mutants

fuzz: setup ## every fuzz target for FUZZTIME
	GO="$(GO)" scripts/fuzz.sh $(FUZZTIME)

crash: setup ## kill -9 under load, 20 times
	CRASH_ROUNDS=20 $(GO) test -count=1 -timeout 60m -v -run '^TestKillUnderLoad$$' ./e2e

loss: setup ## LOSS messages through a gateway that is killed and brokers that end, for each protocol of queues: none lost, none doubled
	LOSS=$(LOSS) $(GO) test -count=1 -timeout 60m -v -run '^TestNothingIsLost' ./e2e/queues

regress: setup ## PostgreSQL's own regression suite (fetched): which queries are refused, and whether reading only reads
	REGRESS=$$(scripts/regress.sh) && export REGRESS && \
		$(GO) test -count=1 -timeout 90m -v -run '^(TestReadingIsReading|TestRefusals)$$' ./internal/sql/pgsql ./e2e/regress

release: setup ## build/gatehouse: one static binary
	CGO_ENABLED=1 $(GO) build -trimpath -tags 'netgo osusergo' \
		-ldflags '-s -w -linkmode external -extldflags "-static" -X main.version=$(VERSION)' -o build/gatehouse ./cmd/gatehouse
	@! ldd build/gatehouse 2>/dev/null || { echo "build/gatehouse is not static"; exit 1; }

clean: ## removes what was built
	rm -rf bin build
