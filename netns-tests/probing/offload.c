/* SPDX-License-Identifier: Apache-2.0 */
/* offload IF on|off: whether checksums are left to the interface, as ethtool -K IF tx does. Off, the kernel writes them as hardware would. */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "netns-tests/probing/probe.h"

int probe_offload(int argc, char **argv)
{
	struct ethtool_value value = { .cmd = ETHTOOL_STXCSUM };
	struct ifreq request = { .ifr_data = (void *)&value };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 3)
		probe_usage("offload IF on|off");
	value.data = !strcmp(argv[2], "on");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", argv[1]);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request))
		probe_die(argv[1]);
	return 0;
}
