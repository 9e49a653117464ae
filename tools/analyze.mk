# SPDX-License-Identifier: Apache-2.0
# What reads the code instead of running it, and valgrind. Included by the top Makefile. Exceptions are in .clang-tidy,
# tools/cppcheck.txt and .shellcheckrc, each with its reason.

ANALYZED     := $(CORE_SRC) $(PLUGIN_SRC) $(POLICYD_SRC) $(INSTALL_SRC)
ANALYZED_H   := $(wildcard include/moat/*.h core/*/*.h plugin/*.h policyd/*.h policyd/*/*.h install/*.h)
ANALYZE_BASE := -std=c11 -D_GNU_SOURCE -Iinclude -I.
SCRIPTS       = $(shell git ls-files | xargs grep -lE '^\#!/bin/(ba)?sh' ; git ls-files '*.sh')

.PHONY: tidy analyze fanalyzer cppcheck shellcheck memcheck coverage
tidy: $(patsubst %.c,$(BUILD)/tidy/%,$(ANALYZED))
$(BUILD)/tidy/%: %.c $(ANALYZED_H) .clang-tidy
	@mkdir -p $(@D)
	$(Q)$(if $(filter 0,$(V)),echo "  TIDY  $<";) clang-tidy --quiet $< -- $(ANALYZE_BASE) 2>/dev/null && touch $@

analyze: fanalyzer cppcheck shellcheck

# __clang_analyzer__: what err.h tells analyzers
fanalyzer: $(patsubst %.c,$(BUILD)/fanalyzer/%,$(ANALYZED))
$(BUILD)/fanalyzer/%: %.c $(ANALYZED_H)
	@mkdir -p $(@D)
	$(Q)$(if $(filter 0,$(V)),echo "  SCAN  $<";) gcc $(ANALYZE_BASE) -D__clang_analyzer__ -O1 -fanalyzer -Werror -c $< -o /dev/null && touch $@

cppcheck:
	$(Q)cppcheck --quiet --enable=all --error-exitcode=1 --std=c11 -D_GNU_SOURCE -Iinclude -I. --include=tools/cppcheck_macros.h \
		--library=posix,gnu --suppress=missingIncludeSystem --suppressions-list=tools/cppcheck.txt core plugin policyd install tests bench netns-tests

shellcheck:
	$(Q)printf '%s\n' $(sort $(SCRIPTS)) | xargs -n 1 shellcheck --format=gcc

# What the unit tests run of each file, the least covered first.
COVERAGE_TESTS ?= $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
coverage:
	$(Q)$(MAKE) --no-print-directory BUILD=build/coverage STATIC= CFLAGS="-O0 -g --coverage" LDFLAGS=--coverage tests
	$(Q)BUILD=build/coverage tools/coverage $(COVERAGE_TESTS)

# Unit tests and MEMCHECK_STORIES with valgrind's memcheck: what is read before it was written, what leaks. No sanitizers, no static
# plugin, into which valgrind cannot look, and no filter of system calls, which would stop valgrind's own.
MEMCHECK_STORIES ?= 01 20
MEMCHECK_TESTS   ?= $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
memcheck:
	$(Q)command -v valgrind >/dev/null || { echo "make memcheck: install valgrind" >&2; exit 1; }
	$(Q)$(MAKE) --no-print-directory BUILD=build/memcheck STATIC= SECCOMP=none all tests netns-tools
	$(Q)BUILD=build/memcheck tools/memcheck $(MEMCHECK_TESTS) -- $(MEMCHECK_STORIES)
