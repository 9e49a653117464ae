/* SPDX-License-Identifier: Apache-2.0 */
/* moat, the CNI plugin: see moat(8). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moat/nl.h"
#include "plugin/cni.h"

int main(void)
{
	int code;

	/* a runtime may start us without standard descriptors: a state file must not become one */
	while (fcntl(STDERR_FILENO, F_GETFD) < 0 && open("/dev/null", O_RDWR) >= 0)
		;
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	nl_park();
	code = cni_run(STDIN_FILENO, stdout);
	fflush(stdout);
	nl_leave();
	return code;
}
