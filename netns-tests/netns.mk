# SPDX-License-Identifier: Apache-2.0
# Stories in network namespaces: their two tools, and the run of all of them. Included by the top Makefile.

NETNS_TOOLS := $(BUILD)/netns-tests/cnidriver $(BUILD)/netns-tests/probe $(BUILD)/netns-tests/nomem.so $(BUILD)/netns-tests/moat-dynamic \
	$(BUILD)/netns-tests/other-layout/moat $(BUILD)/netns-tests/other-layout/moat-policyd

$(BUILD)/netns-tests/cnidriver: $(BUILD)/netns-tests/cnidriver.o $(BUILD)/core/base/base.o
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

# The same programs with another layout of the static rules: base chains of other names at other priorities, and a helper of another name.
OTHER_LAYOUT := $(BUILD)/netns-tests/other-layout
OTHER_SRC    := $(wildcard core/ruleset/ruleset*.c)
OTHER_OBJ    := $(patsubst core/%.c,$(OTHER_LAYOUT)/core/%.o,$(OTHER_SRC))
.SECONDARY: $(patsubst core/%.c,$(OTHER_LAYOUT)/core/%.c,$(OTHER_SRC))

$(OTHER_LAYOUT)/core/%.c: core/%.c netns-tests/netns.mk
	@mkdir -p $(@D)
	$(Q)sed -e 's/"forward"/"passing"/g; s/NF_IP_PRI_FILTER + 10}/NF_IP_PRI_FILTER - 10}/; s/"input"/"entry"/g' \
		-e 's/NF_IP_PRI_NAT_SRC + 10}/NF_IP_PRI_NAT_SRC + 20}/; s/"tunnels"/"burrows"/g' $< >$@

$(OTHER_LAYOUT)/core/%.o: $(OTHER_LAYOUT)/core/%.c
	$(Q)$(if $(filter 0,$(V)),echo "  CC    $<";) $(CC) $(ALL_CFLAGS) -c $< -o $@

$(OTHER_LAYOUT)/moat: $(BUILD)/plugin/main.o $(PLUGIN_OBJ) $(OTHER_OBJ) $(BUILD)/libmoat.a
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ $(CORE_LIBS) -o $@

$(OTHER_LAYOUT)/moat-policyd: $(BUILD)/policyd/main.o $(POLICYD_OBJ) $(OTHER_OBJ) $(BUILD)/libmoat.a
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(LDFLAGS) $^ $(POLICYD_LIBS) -o $@

.PHONY: netns-tools check-netns
netns-tools: $(NETNS_TOOLS)

# NETNS_JOBS stories at a time; STORIES="01 07" picks some, PRIMARIES="ptp bridge" what connects their pods.
check-netns: $(NETNS_TOOLS) $(PROGRAMS)
	$(Q)BUILD=$(BUILD) netns-tests/run $(STORIES)

# The leak counter whole: 1,000 pods, 200 kills of the daemon, the plugin killed before each of its system calls and at each of its
# allocations. make check runs the same stories with smaller numbers.
.PHONY: leak
leak: $(NETNS_TOOLS) $(PROGRAMS)
	$(Q)LEAK_PODS=1000 LEAK_KILLS=200 LEAK_STRIDE=1 NETNS_TIMEOUT=5400 BUILD=$(BUILD) netns-tests/run 7 8
