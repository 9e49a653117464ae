/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/netpods.h"

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moat/base.h"
#include "tests/rundir.h"

#define PODS_MAX 8

static pid_t pods[PODS_MAX]; /* processes that hold a network namespace */
static size_t n_pods;

void netpods_make(void)
{
	n_pods = 0;
	rundir_leave_host();
	netpods_sh("ip link set lo up; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
}

void netpods_remove(void)
{
	for (size_t i = 0; i < n_pods; i++) {
		kill(pods[i], SIGKILL);
		waitpid(pods[i], NULL, 0);
	}
}

void netpods_sh(const char *commands)
{
	CLEAN_FREE char *strict = mem_printf("set -e; %s", commands);

	ck_assert_msg(system(strict) == 0, "%s", commands);
}

void netpods_in(unsigned n, const char *commands)
{
	CLEAN_FREE char *inside = mem_printf("nsenter -t %d -n sh -ec '%s'", (int)pods[n], commands);

	netpods_sh(inside);
}

static pid_t new_namespace(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert(n_pods < PODS_MAX && pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert(pid > 0 && read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	return pid;
}

void netpods_add(const char *port, const char *of_bridge, const char *addr4, const char *addr6)
{
	pid_t pid = new_namespace();
	CLEAN_FREE char *link = mem_printf("ip link add %s type veth peer name eth0 netns %d; ip link set %s up", port, (int)pid, port);
	CLEAN_FREE char *inside = mem_printf("ip link set lo up; ip link set eth0 up; ip address add %s/32 dev eth0; ip address add %s/128 dev eth0 nodad",
					     addr4, addr6);
	CLEAN_FREE char *way = of_bridge ? mem_printf("ip link set %s master %s", port, of_bridge) :
					   mem_printf("ip route add %s/32 dev %s; ip -6 route add %s/128 dev %s", addr4, port, addr6, port);

	pods[n_pods++] = pid;
	netpods_sh(link);
	netpods_in((unsigned)n_pods - 1, inside);
	netpods_sh(way);
}
