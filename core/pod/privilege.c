/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two system calls of our own instead of libcap or libcap-ng: the plugin pays for every page that it links, and both libraries are
 * larger than what there is to do. capset(2) has no wrapper in the C library.
 *
 * Clearing the inheritable set clears the ambient one with it (capabilities(7)). With no_new_privs an executed program gets
 * nothing that is not permitted now, not even as user 0, so the bounding set only matters to who does without it.
 */
#include "moat/privilege.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORDS _LINUX_CAPABILITY_U32S_3

int privilege_keep(uint64_t keep, uint64_t *ret_missing, struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[WORDS] = {{0}};
	uint64_t had = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, errno, "no_new_privs");
	if (syscall(SYS_capget, &header, data) < 0)
		return err_errno(err, errno, "read own capabilities");
	for (unsigned i = 0; i < WORDS; i++) {
		had |= (uint64_t)data[i].permitted << (32 * i);
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return err_errno(err, errno, "give up capabilities");
	if (ret_missing)
		*ret_missing = keep & ~had;
	return 0;
}

void privilege_unbound(void)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
		;
}
