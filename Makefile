# Everything that is done with the project. Only Go is needed; what else a
# target needs it says.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.stamp=$(VERSION)
BIN     := bin/kagari
TESTS   ?= ./...

.PHONY: all build run test race lint generate bench fuzz conformance e2e soak cross clean help

all: build

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## build bin/kagari, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/kagari

run: build ## receive logs on 127.0.0.1 (forward 24224, HTTP 9880), follow FILES, show all on the terminal
	$(BIN) run $(FILES)

test: ## run the tests
	$(GO) test $(TESTS)

race: ## run the tests of everything with goroutines under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -race $(RACE)

RACE := ./engine ./pipetest ./buffer ./deadletter ./event ./admin/... ./plugin/... ./input/... ./output/... ./filter/... ./internal/... ./parser/...

lint: ## gofmt, go vet and golangci-lint
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then echo "not formatted by gofmt:" $$files; exit 1; fi
	$(GO) vet ./...
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI) run

GOLANGCI := v2.15.0

generate: ## write docs/reference and the schema from the option fields
	$(GO) generate ./...

bench: build ## measure against the targets, beside fluent-bit if it is on PATH
	$(GO) run ./bench --bin $(BIN) $(BENCHFLAGS)

fuzz: ## run every fuzz target for FUZZTIME each (default 1m)
	@$(GO) list ./... | while read -r p; do \
	  for f in $$($(GO) test -list '^Fuzz' "$$p" | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) "$$p" || exit 1; \
	  done; done

FUZZTIME ?= 1m

conformance: build ## run the recorded cases against the binary
	$(GO) test -count=1 ./conformance/...

e2e: build ## run the end-to-end tests (needs a Docker Engine for some)
	$(GO) test -count=1 ./e2e

soak: build ## kill the router hundreds of times and check that nothing is lost (minutes)
	$(GO) test -count=1 -timeout 60m -v ./e2e/soak -soak $(SOAKFLAGS)

cross: ## build for every supported platform
	@for t in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do \
	  echo $$t; CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o /dev/null ./cmd/kagari || exit 1; \
	done

clean: ## remove what was built
	rm -rf bin
