/* SPDX-License-Identifier: Apache-2.0 */
/* moat, the CNI plugin: see moat(8). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moat/nl.h"
#include "moat/privilege.h"
#include "plugin/cni.h"

/*
 * Rules, links and conntrack need CAP_NET_ADMIN; entering the container's namespace CAP_SYS_ADMIN, and CAP_SYS_PTRACE where the
 * runtime names it by /proc/<pid>/ns/net. Input is read with no more than that.
 */
static void give_up_privileges(void)
{
	const char *command = getenv("CNI_COMMAND");
	bool enters = command && (!strcmp(command, "ADD") || !strcmp(command, "CHECK"));
	struct err err;

	if (privilege_keep(PRIVILEGE(CAP_NET_ADMIN) | (enters ? PRIVILEGE(CAP_SYS_ADMIN) | PRIVILEGE(CAP_SYS_PTRACE) : 0), NULL, &err) < 0)
		cni_warn("%s", err.text);
}

int main(void)
{
	int code;

	/* a runtime may start us without standard descriptors: a state file must not become one */
	/* NOLINTNEXTLINE(android-cloexec-open): these are for whoever we become */
	while (fcntl(STDERR_FILENO, F_GETFD) < 0 && open("/dev/null", O_RDWR) >= 0)
		;
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	give_up_privileges();
	nl_park();
	code = cni_run(STDIN_FILENO, stdout);
	fflush(stdout);
	nl_leave();
	return code;
}
