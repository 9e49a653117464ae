# SPDX-License-Identifier: Apache-2.0
# Stories with real components (cluster-tests/run). Included by the top Makefile.

# What runs in containers that hold nothing else.
$(BUILD)/netns-tests/probe-static: $(patsubst %.c,$(BUILD)/%.o,$(wildcard netns-tests/probing/*.c))
	$(Q)$(if $(filter 0,$(V)),echo "  LD    $@";) $(CC) $(filter-out -pie,$(LDFLAGS)) -static-pie -Wl,--no-warnings $^ -o $@

.PHONY: check-cluster
# Not by make check: it needs Go (or KUBEBUILDER_ASSETS), containerd and podman. STORIES="01 12" picks some.
check-cluster: $(NETNS_TOOLS) $(PROGRAMS) $(BUILD)/netns-tests/probe-static
	$(Q)BUILD=$(BUILD) cluster-tests/run $(STORIES)
