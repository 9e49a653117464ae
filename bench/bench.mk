# SPDX-License-Identifier: Apache-2.0
# What things cost, side by side in one run. Included by the top Makefile. BENCHES="add policy packet bridge" picks some.

BENCH_TOOLS := $(addprefix $(BUILD)/bench/,exit floor add policy packet switching)

# Linked as the plugin is.
$(BUILD)/bench/exit $(BUILD)/bench/floor: $(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/libmoat.a $(STATIC_FLAGS)
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(filter-out -pie,$(LDFLAGS)) $(filter %.o %.a,$^) $(PLUGIN_LIBS) -o $@

$(BUILD)/bench/add: $(BUILD)/bench/add.o $(BUILD)/bench/sample.o $(BUILD)/core/base/base.o
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ -o $@

$(BUILD)/bench/policy: $(addprefix $(BUILD)/bench/,policy.o bare.o change.o cluster.o crowd.o sample.o) $(BUILD)/tests/flows.o $(BUILD)/libmoat.a
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ $(CORE_LIBS) -o $@

$(BUILD)/bench/packet: $(addprefix $(BUILD)/bench/,packet.o node.o cluster.o sample.o) $(BUILD)/libmoat.a
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ $(CORE_LIBS) -o $@

$(BUILD)/bench/switching: $(BUILD)/bench/switching.o $(BUILD)/bench/sample.o $(BUILD)/core/base/base.o
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ -o $@

.PHONY: bench
bench: $(BENCH_TOOLS) $(PROGRAMS)
	$(Q)BUILD=$(BUILD) bench/run $(BENCHES)
