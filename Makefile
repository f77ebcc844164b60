# SPDX-License-Identifier: Apache-2.0
#
# A thin front of Meson and Ninja: `make help` lists the targets. Builds in one folder wait for each other (flock), so that
# several terminals may call make at once. BUILD=build-mine gives a folder of its own.
SHELL := /bin/bash
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory

BUILD ?= build
JOBS ?= $(shell nproc)
# CI refuses warnings of the plain build (instrumented code makes gcc guess wrong); elsewhere another compiler's new warning must not
# stop a build.
OPTIONS := $(if $(CI),-Dwerror=true)
ASAN := -Db_sanitize=address,undefined -Db_lundef=false -Db_ndebug=false -Doptimization=1
TSAN := -Db_sanitize=thread -Db_lundef=false -Db_ndebug=false -Doptimization=1

# $(call build,folder,options,ninja targets)
define build
	@mkdir -p $(1)
	@flock $(1)/.lock bash -o pipefail -c 'tools/meson/configure $(1) $(2) && \
	    ninja -C $(1) -j $(JOBS) --quiet $(3) | { grep -v "^ninja: no work to do" || true; }'
endef

# Sandboxes see the bootstraps read-only, so that Python could not keep what it compiled: done here, for each interpreter there is.
all: ## build build/sluice
	$(call build,$(BUILD),$(OPTIONS),)
	@for python in $(wildcard /usr/bin/python3.[0-9] /usr/bin/python3.[0-9][0-9]); do $$python -m compileall -q runtimes/python; done

deps: ## install the packages that building and running need
	@tools/install-deps

deps-test: ## ... and those that the tests need
	@tools/install-deps --test

run: deps all ## install, build, start Sluice, deploy the examples, print their URLs
	@tools/run

stop: ## stop what `make run` started
	@tools/run --stop

test: deps-test ## install, build, run every test; ends with "N passed, N failed"
	@tools/test/all $(TESTFLAGS)

unit: ## build and run one unit test: make unit T=json
	$(call build,$(BUILD),$(OPTIONS),$(if $(T),tests/unit/test_$(T)))
	@$(if $(T),$(BUILD)/tests/unit/test_$(T),tools/test/unit $(BUILD))

asan: deps-test ## build with AddressSanitizer and UBSan, run unit and black-box tests
	@tools/test/all --only asan

build-asan:
	$(call build,build-asan,$(ASAN),)

tsan: ## build with ThreadSanitizer and run the unit tests
	$(call build,build-tsan,$(TSAN),)
	@tools/test/unit build-tsan

fuzz: ## run every fuzz target for SECONDS (default 60) each: make fuzz [T=json] [SECONDS=60]
	@tools/install-deps --fuzz
	$(eval export CC := clang-14)
	$(call build,build-fuzz,-Dfuzz=true $(ASAN),)
	@tools/test/fuzz "$(T)" "$(or $(SECONDS),60)"

bench: all ## measure, each figure beside its floor
	@tools/install-deps --bench
	@bench/run

lint: ## layout, static checks, layering, banned functions, size budgets
	@tools/install-deps --test --lint
	@tools/lint/all

format: ## lay out all C files
	@git ls-files -z '*.c' '*.h' | xargs -0 --no-run-if-empty clang-format-14 -i

install: all ## install to PREFIX (default /usr/local); DESTDIR is honoured
	$(if $(PREFIX),@meson configure $(BUILD) -Dprefix=$(PREFIX))
	@meson install -C $(BUILD) --strip --quiet

clean: stop ## stop what runs, remove everything that was built
	rm -rf build build-asan build-tsan build-fuzz

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.NOTPARALLEL:
.PHONY: all deps deps-test run stop test unit asan tsan fuzz bench lint format install clean help build-asan
