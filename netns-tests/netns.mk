# SPDX-License-Identifier: Apache-2.0
# Stories in network namespaces: their two tools, and the run of all of them. Included by the top Makefile.

NETNS_TOOLS := $(BUILD)/netns-tests/cnidriver $(BUILD)/netns-tests/probe $(BUILD)/netns-tests/nomem.so $(BUILD)/netns-tests/moat-dynamic

$(BUILD)/netns-tests/cnidriver: $(BUILD)/netns-tests/cnidriver.o $(BUILD)/core/base.o
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ -lcjson -o $@

$(BUILD)/netns-tests/probe: $(patsubst %.c,$(BUILD)/%.o,$(wildcard netns-tests/probing/*.c))
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ -o $@

# Never with a sanitizer: it is preloaded into programs that have none.
$(BUILD)/netns-tests/nomem.so: netns-tests/nomem.c
	@mkdir -p $(@D)
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) -std=c11 -D_GNU_SOURCE $(WARN) -O2 -shared -fPIC $< -o $@

# The plugin with shared libraries, into which it can be preloaded.
$(BUILD)/netns-tests/moat-dynamic: $(BUILD)/plugin/main.o $(PLUGIN_OBJ) $(BUILD)/libmoat.a
	@mkdir -p $(@D)
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ $(CORE_LIBS) -o $@

.PHONY: netns-tools check-netns
netns-tools: $(NETNS_TOOLS)

# NETNS_JOBS stories at a time; STORIES="01 07" picks some, PRIMARIES="ptp bridge" what connects their pods.
check-netns: $(NETNS_TOOLS) $(PROGRAMS)
	$(Q)BUILD=$(BUILD) netns-tests/run $(STORIES)

# The leak counter whole: 1,000 pods, 200 kills of the daemon, the plugin killed before each of its system calls and at each of its
# allocations. Some 40 minutes; make check runs the same stories with smaller numbers.
.PHONY: leak
leak: $(NETNS_TOOLS) $(PROGRAMS)
	$(Q)LEAK_PODS=1000 LEAK_KILLS=200 LEAK_STRIDE=1 NETNS_TIMEOUT=5400 BUILD=$(BUILD) netns-tests/run 7 8
