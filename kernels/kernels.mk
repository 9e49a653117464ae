# SPDX-License-Identifier: Apache-2.0
# Debian's own kernels, booted under qemu: unit tests and stories inside. Included by the top Makefile.
#
# What development machines may lack is there: SCTP, IPVS, VLANs. Software emulation is some ten times slower, so a few
# stories stand for all; KERNEL_STORIES="" runs every one.

KERNELS        ?= 5.10 6.1 6.12
KERNEL_STORIES ?= 01 05 10 20 25 33 34 36 40 48 49

# The release that has the kernel.
kernel_release = $(or $(patsubst 5.10%,bullseye,$(filter 5.10%,$(1))),$(patsubst 6.1,bookworm,$(filter 6.1,$(1))),trixie)

.PHONY: check-kernels
check-kernels: $(UNIT_TESTS) $(PROGRAMS) netns-tools
	$(Q)tools/deps.sh kernels
	$(Q)set -e; $(foreach k,$(KERNELS),kernels/fetch $(call kernel_release,$(k)) $(k) $(BUILD)/kernels/$(k);)
	$(Q)BUILD=$(BUILD) STORIES="$(KERNEL_STORIES)" kernels/run $(KERNELS)
