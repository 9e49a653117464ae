/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/grace.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NO_MEMBARRIER_MS 30 /* the kernel has none (nohz_full): twice the longest grace period seen */

void grace_wait(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		nanosleep(&(struct timespec){.tv_nsec = NO_MEMBARRIER_MS * 1000000L}, NULL);
}
