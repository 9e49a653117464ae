# SPDX-License-Identifier: Apache-2.0
# Stories in network namespaces: their two tools, and the run of all of them. Included by the top Makefile.

NETNS_TOOLS := $(BUILD)/netns-tests/cnidriver $(BUILD)/netns-tests/probe

$(BUILD)/netns-tests/cnidriver: $(BUILD)/netns-tests/cnidriver.o $(BUILD)/core/base.o
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ -lcjson -o $@

$(BUILD)/netns-tests/probe: $(patsubst %.c,$(BUILD)/%.o,$(wildcard netns-tests/probing/*.c))
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ -o $@

.PHONY: netns-tools check-netns
netns-tools: $(NETNS_TOOLS)

# NETNS_JOBS stories at a time; STORIES="01 07" picks some, PRIMARIES="ptp bridge" what connects their pods.
check-netns: $(NETNS_TOOLS) $(PROGRAMS)
	$(Q)BUILD=$(BUILD) netns-tests/run $(STORIES)
