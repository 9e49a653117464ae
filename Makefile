# SPDX-License-Identifier: Apache-2.0
# make            build everything            make demo       the main job, step by step
# make check      every test (no cluster)     make help       all targets

CC      ?= gcc
BUILD   ?= build
PREFIX  ?= /usr/local
CNI_BIN ?= /opt/cni/bin
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla $(if $(WERROR),-Werror)
HARDEN  := -O2 -g -fstack-protector-strong -fPIE $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2)
CFLAGS  ?= $(HARDEN)
# SECCOMP=off builds a daemon without its filter of system calls, for tools/syscalls; SECCOMP=none without that of io_uring too, for
# valgrind, which knows nothing of filters
ALL_CFLAGS = $(if $(SECCOMP),-DSECCOMP_OFF) $(if $(filter none,$(SECCOMP)),-DSECCOMP_NONE) -std=c11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -Iinclude -I. -MMD -MP
LDFLAGS += -pie -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=$(SANITIZE))

# The plugin is static, since it runs on any host's libc; sanitizers cannot be linked so. STATIC= says no.
STATIC       ?= $(if $(SANITIZE),,yes)
STATIC_FLAGS := $(if $(STATIC),$(BUILD)/static/flags)

CORE_LIBS    := -lnftnl -lmnl -lcjson
PLUGIN_LIBS  := $(or $(addprefix @,$(STATIC_FLAGS)),-pie $(CORE_LIBS))
POLICYD_LIBS := $(CORE_LIBS) -luv -lyaml -lnettle -lseccomp -lcurl

objs = $(patsubst %.c,$(BUILD)/%.o,$(1))

CORE_SRC    := $(wildcard core/*/*.c)
PLUGIN_SRC  := $(wildcard plugin/*.c)
POLICYD_SRC := $(wildcard policyd/*.c policyd/*/*.c)
INSTALL_SRC := $(wildcard install/*.c)
MAINS       := plugin/main.c policyd/main.c policyd/moatctl.c install/main.c
PLUGIN_OBJ  := $(call objs,$(filter-out $(MAINS),$(PLUGIN_SRC)))
POLICYD_OBJ := $(call objs,$(filter-out $(MAINS),$(POLICYD_SRC)))
INSTALL_OBJ := $(call objs,$(filter-out $(MAINS),$(INSTALL_SRC)))
SUPPORT_OBJ := $(call objs,$(filter-out tests/test_%.c,$(wildcard tests/*.c)))
UNIT_TESTS  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
PROGRAMS    := $(patsubst plugin/main.c,$(BUILD)/moat,$(wildcard plugin/main.c)) \
	$(patsubst policyd/main.c,$(BUILD)/moat-policyd,$(wildcard policyd/main.c)) \
	$(patsubst policyd/moatctl.c,$(BUILD)/moatctl,$(wildcard policyd/moatctl.c)) $(BUILD)/moat-install

.SECONDARY: # objects of tests are kept between runs

.PHONY: all
all: $(PROGRAMS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(if $(filter 0,$(V)),echo "  CC    $<";) $(CC) $(ALL_CFLAGS) -c $< -o $@

$(BUILD)/libmoat.a: $(call objs,$(CORE_SRC))
	$(Q)rm -f $@ && ar rcs $@ $^

.PHONY: always
# Asked each time: libraries are upgraded, and what could not be had may be there now. Written only when it changes.
$(BUILD)/static/flags: always
	@mkdir -p $(@D)
	$(Q)CC="$(CC)" CFLAGS="$(CFLAGS)" tools/static-libs $(@D) >$@.new && { cmp -s $@.new $@ || mv $@.new $@; }

$(BUILD)/moat: $(BUILD)/plugin/main.o $(PLUGIN_OBJ) $(BUILD)/libmoat.a $(STATIC_FLAGS)
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(filter-out -pie,$(LDFLAGS)) $(filter %.o %.a,$^) $(PLUGIN_LIBS) -o $@

$(BUILD)/moat-policyd: $(BUILD)/policyd/main.o $(POLICYD_OBJ) $(BUILD)/libmoat.a
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ $(POLICYD_LIBS) -o $@

$(BUILD)/moatctl: $(BUILD)/policyd/moatctl.o $(BUILD)/libmoat.a
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ -lcjson -o $@

# What of the plugin reads configurations: the installer says of settings what the plugin would.
INSTALL_PLUGIN_OBJ := $(call objs,plugin/cni_config.c plugin/cni_json.c plugin/cni_error.c)
$(BUILD)/moat-install: $(BUILD)/install/main.o $(INSTALL_OBJ) $(INSTALL_PLUGIN_OBJ) $(BUILD)/libmoat.a $(STATIC_FLAGS)
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(filter-out -pie,$(LDFLAGS)) $(filter %.o %.a,$^) $(PLUGIN_LIBS) -o $@

# Each tests/test_<module>.c is one Check program, linked against everything but the mains.
$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(SUPPORT_OBJ) $(PLUGIN_OBJ) $(POLICYD_OBJ) $(INSTALL_OBJ) $(BUILD)/libmoat.a
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ $(POLICYD_LIBS) \
		$$(pkg-config --libs check) -o $@

.PHONY: tests unit check deps layers demo help install clean
tests: $(UNIT_TESTS)
unit: $(UNIT_TESTS)
	$(Q)set -e; for t in $(UNIT_TESTS); do $$t; done

# Everything that needs no cluster: unit tests, then stories in namespaces of their own. Last line: the totals.
check: $(UNIT_TESTS) $(PROGRAMS) netns-tools
	$(Q)BUILD=$(BUILD) tests/run $(UNIT_TESTS)

# What Debian packages the build and the tests need; installs what is missing.
deps:
	$(Q)tools/deps.sh

demo: deps
	$(Q)$(MAKE) --no-print-directory all netns-tools
	$(Q)BUILD=$(BUILD) demo/demo.sh

layers:
	$(Q)tools/layers

DESTDIR ?=
MANDIR  ?= $(PREFIX)/share/man
install: all
	install -D -m 0755 $(BUILD)/moat $(DESTDIR)$(CNI_BIN)/moat
	install -D -m 0755 $(BUILD)/moat-policyd $(DESTDIR)$(PREFIX)/sbin/moat-policyd
	install -D -m 0755 $(BUILD)/moat-install $(DESTDIR)$(PREFIX)/sbin/moat-install
	install -D -m 0755 $(BUILD)/moatctl $(DESTDIR)$(PREFIX)/bin/moatctl
	install -d $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(MANDIR)/man1
	install -m 0644 man/*.8 $(DESTDIR)$(MANDIR)/man8
	install -m 0644 man/*.1 $(DESTDIR)$(MANDIR)/man1

# The daemon's list of system calls, derived anew: every story with the daemon under strace. STORIES picks some.
.PHONY: syscalls
syscalls:
	$(Q)tools/syscalls $(STORIES)

# The same tests with the address and undefined-behaviour sanitizers.
.PHONY: asan
asan:
	$(Q)$(MAKE) --no-print-directory check SANITIZE=address,undefined BUILD=$(BUILD)/sanitized

help:
	@printf '%s\n' \
		'make             build moat, moat-policyd, moatctl and moat-install into $(BUILD)/' \
		'make demo        the main job, step by step (installs missing packages)' \
		'make check       every test that needs no cluster' \
		'make unit        only the unit tests;  make check-netns STORIES="01 07": only stories' \
		'make asan        make check under sanitizers' \
		'make check-kernels  unit tests and stories under Debian kernels in qemu; KERNELS="6.1", KERNEL_STORIES="01 20"' \
		'make check-cluster  stories with real runtimes, etcd, API server, cluster; needs Go 1.24 or KUBEBUILDER_ASSETS; STORIES="01 12"' \
		'make tidy        clang-tidy;  make analyze: gcc -fanalyzer, cppcheck, shellcheck' \
		'make memcheck    unit tests and stories under valgrind;  make coverage: what unit tests run of each file' \
		'make fuzz        fuzz targets with clang: FUZZ_SECONDS each, FUZZ_TARGETS="plugin netlink" picks some' \
		'make bench       costs as ratios in one run' \
		'make image       the image, as an OCI archive: static programs and nothing else (buildah or podman)' \
		'make deps        install missing Debian packages' \
		'make layers      includes go down only' \
		'make install     DESTDIR, PREFIX, CNI_BIN' \
		'V=1 shows commands; CC, BUILD, SANITIZE, WERROR=1 do what they say'

include netns-tests/netns.mk
include cluster-tests/cluster.mk
include kernels/kernels.mk
-include bench/bench.mk
include tests/fuzz/fuzz.mk
include tools/analyze.mk
include deploy/image.mk

clean:
	$(Q)rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
