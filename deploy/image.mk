# SPDX-License-Identifier: Apache-2.0
# The image: the four programs, static, and nothing else. Included by the top Makefile.
#
#   make image     build/image/moat.tar, an OCI archive, with buildah or podman; its digest on the last line
#   make check-image   static, reproducible, and its programs pass stories
#
# No warnings: libraries look names up by getaddrinfo, which needs shared libraries then; in a pod the API server has an address.
#
# The same sources give the same digest, wherever and whenever it is built with the same packages: binaries have neither paths nor build
# ids in them, and times are SOURCE_DATE_EPOCH, by default that of the last commit.

IMAGE        ?= localhost/moat:0.1.0-dev
IMAGE_DIR    := $(BUILD)/image
IMAGE_FILES  := $(addprefix $(IMAGE_DIR)/root/,moat moat-install moat-policyd moatctl)
IMAGE_LINK    = @mkdir -p $(@D); $(if $(filter 0,$(V)),echo "  LD    $@";) \
	$(CC) $(filter-out -pie,$(LDFLAGS)) -s -Wl,--build-id=none -Wl,--no-warnings $(filter %.o %.a,$^) @$(IMAGE_DIR)/flags -o $@
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)

$(IMAGE_DIR)/flags: always
	@mkdir -p $(@D)
	$(Q)CC="$(CC)" CFLAGS="$(CFLAGS)" tools/static-libs $(BUILD)/static image >$@.new && { cmp -s $@.new $@ || mv $@.new $@; }

$(IMAGE_DIR)/root/moat: $(BUILD)/plugin/main.o $(PLUGIN_OBJ) $(BUILD)/libmoat.a $(IMAGE_DIR)/flags
	$(IMAGE_LINK)
$(IMAGE_DIR)/root/moat-install: $(BUILD)/install/main.o $(INSTALL_OBJ) $(INSTALL_PLUGIN_OBJ) $(BUILD)/libmoat.a $(IMAGE_DIR)/flags
	$(IMAGE_LINK)
$(IMAGE_DIR)/root/moat-policyd: $(BUILD)/policyd/main.o $(POLICYD_OBJ) $(BUILD)/libmoat.a $(IMAGE_DIR)/flags
	$(IMAGE_LINK)
$(IMAGE_DIR)/root/moatctl: $(BUILD)/policyd/moatctl.o $(BUILD)/libmoat.a $(IMAGE_DIR)/flags
	$(IMAGE_LINK)

.PHONY: image image-files
image-files: $(IMAGE_FILES)
image: $(IMAGE_FILES)
	$(Q)SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) deploy/image.sh $(IMAGE_DIR) $(IMAGE)

.PHONY: check-image
check-image: image netns-tools
	$(Q)BUILD=$(BUILD) deploy/check-image.sh
