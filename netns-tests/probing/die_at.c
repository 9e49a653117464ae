/* SPDX-License-Identifier: Apache-2.0 */
/*
 * die-at: runs a command and kills it as it is about to make its N-th system call, counted from its exec. Exit code 137 then, and the
 * call's number on stderr where the machine tells; else the command's own. Its children are not followed.
 */
#include "netns-tests/probing/probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLED = 137 };

static pid_t start(char **command)
{
	pid_t child = fork();

	if (child < 0)
		probe_die("fork");
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP); /* the parent sets its options now */
		execvp(command[0], command);
		probe_die(command[0]);
	}
	return child;
}

static int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			probe_die("waitpid");
	return status;
}

static int end_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs on to the next stop at a system call; false when the child has ended, with its status. */
static bool next_stop(pid_t child, int *status)
{
	int signal = 0;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, child, NULL, (void *)(long)signal))
			probe_die("ptrace");
		*status = wait_for(child);
		if (!WIFSTOPPED(*status))
			return false;
		if (WSTOPSIG(*status) == (SIGTRAP | 0x80))
			return true;
		signal = *status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8) ? 0 : WSTOPSIG(*status);
	}
}

static void tell_call(pid_t child)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY)
		fprintf(stderr, "killed before system call %llu\n", (unsigned long long)info.entry.nr);
}

int probe_die_at(int argc, char **argv)
{
	unsigned long n;
	pid_t child;
	int status;

	if (argc < 3)
		probe_usage("die-at NUMBER COMMAND...");
	n = probe_number(argv[1], 1000000);
	child = start(argv + 2);
	status = wait_for(child);
	if (!WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)))
		probe_die("ptrace");
	/* until exec has returned: what comes then is the command's own */
	do {
		if (ptrace(PTRACE_CONT, child, NULL, NULL))
			probe_die("ptrace");
		status = wait_for(child);
	} while (WIFSTOPPED(status) && status >> 8 != (SIGTRAP | PTRACE_EVENT_EXEC << 8));
	if (!WIFSTOPPED(status) || !next_stop(child, &status))
		return end_of(status);
	while (next_stop(child, &status)) { /* at the entry of a call */
		if (!--n) {
			tell_call(child);
			kill(child, SIGKILL);
			wait_for(child);
			return KILLED;
		}
		if (!next_stop(child, &status))
			break;
	}
	return end_of(status);
}
