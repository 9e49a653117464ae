# SPDX-License-Identifier: Apache-2.0
# Fuzz targets (tests/fuzz/fuzz.h): libFuzzer programs, and the replay of their corpora as a unit test. Included by the top Makefile.
#
# make fuzz                 each target for FUZZ_SECONDS (60), from its corpus; FUZZ_TARGETS="plugin netlink" picks some
# make fuzz FUZZ_SHORT=1    a fixed number of inputs and a fixed seed instead, as CI does
# make fuzz-corpus          what was found that reaches new code, as few and small files as can be, into the corpora

comma        := ,
FUZZ_TARGETS ?= $(patsubst tests/fuzz/target_%.c,%,$(wildcard tests/fuzz/target_*.c))
FUZZ_BUILD   := build/fuzz
FUZZ_OBJ     := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/fuzz/entry.c,$(wildcard tests/fuzz/*.c))) $(BUILD)/tests/fuzz/moatctl.o
# netlink is answered by tests/fuzz/kernel.c, moatctl by its target
FUZZ_WRAP    := $(addprefix -Wl$(comma)--wrap=,socket close bind connect setsockopt send sendmsg recv setns)
FUZZ_LINK     = $(CC) $(LDFLAGS) $(FUZZ_WRAP)

$(BUILD)/tests/fuzz/moatctl.o: policyd/moatctl.c
	@mkdir -p $(@D)
	$(Q)$(if $(filter 0,$(V)),echo "  CC    $< (fuzz)";) $(CC) $(ALL_CFLAGS) -Dmain=moatctl_main -c $< -o $@

$(BUILD)/tests/test_fuzz: $(BUILD)/tests/test_fuzz.o $(FUZZ_OBJ) $(SUPPORT_OBJ) $(PLUGIN_OBJ) $(POLICYD_OBJ) $(BUILD)/libmoat.a
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(FUZZ_LINK) $^ $(POLICYD_LIBS) $$(pkg-config --libs check) -o $@

$(BUILD)/tests/fuzz/entry_%.o: tests/fuzz/entry.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DFUZZ_TARGET=fuzz_$* -c $< -o $@

$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/entry_%.o $(FUZZ_OBJ) $(SUPPORT_OBJ) $(PLUGIN_OBJ) $(POLICYD_OBJ) $(BUILD)/libmoat.a
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(FUZZ_LINK) -fsanitize=fuzzer $^ $(POLICYD_LIBS) $$(pkg-config --libs check) -o $@

.PHONY: fuzz fuzz-corpus fuzz-programs
fuzz-programs: $(patsubst %,$(BUILD)/tests/fuzz/fuzz_%,$(FUZZ_TARGETS))

fuzz fuzz-corpus:
	$(Q)command -v clang >/dev/null || { echo "make $@: libFuzzer comes with clang; install clang (the corpora alone are replayed by make unit)" >&2; exit 1; }
	$(Q)$(MAKE) --no-print-directory CC=clang BUILD=$(FUZZ_BUILD) SANITIZE=fuzzer-no-link,address,undefined fuzz-programs
	$(Q)BUILD=$(FUZZ_BUILD) tests/fuzz/run $(if $(filter fuzz-corpus,$@),--merge) $(FUZZ_TARGETS)
