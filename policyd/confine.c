/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Least privilege
 *
 * Tenants write what the daemon parses, so it is to be of little use to who takes it over by that: of all capabilities it keeps
 * CAP_NET_ADMIN (nf_tables, conntrack, socket buffers beyond the default), which nothing works without; everything else it does as the owner of
 * its files. It executes nothing, starts no process and no threads but the three that look for connections (revoke.c) and at
 * everything (check.c), which are there before the list is in force and are held to it too, and opens no socket but netlink's and
 * those on its control socket. So the list of system calls is short, and the same for its whole life; `make syscalls` derives it: all stories run with the daemon
 * under strace, and what it calls is compared with the list. In every other run a call that is not in it ends the daemon, as
 * SIGSYS, and the log has its number. The kernel keeps what stood.
 *
 * io_uring does what it is told past such a filter. libuv 1.45 to 1.50 makes a ring in uv_loop_init, to batch epoll_ctl; a
 * first filter says that the kernel has none, and then libuv does without.
 *
 * Names that a C library does not use on one architecture cost nothing: glibc 2.36 and 2.41 were traced, on amd64.
 */
#include "policyd/confine.h"

#include <linux/sockios.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "moat/log.h"
#include "moat/privilege.h"

#define WATCHDOG_S 10

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

/* One name per line: tools/syscalls reads them. */
static const int calls[] = {
	/* files: manifests, the conflist, the pod store */
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(getdents64),
	SCMP_SYS(readlinkat),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(flock),
	SCMP_SYS(fcntl),
	/* an attachment written: that of a pod that is adopted */
	SCMP_SYS(mkdirat),
	SCMP_SYS(renameat),
	SCMP_SYS(symlinkat),
	SCMP_SYS(linkat),
	SCMP_SYS(utimensat),
	SCMP_SYS(getrandom), /* and names of what is temporary; libcurl's, too */
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
	/* sockets that are open: netlink's, the control socket's */
	SCMP_SYS(bind),
	SCMP_SYS(accept4),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(setitimer), /* the watchdog, off */
	/* the loop */
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(clock_gettime), /* where there is no vDSO, or it cannot read the clock */
	SCMP_SYS(time),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall),
	/* memory; mmap and mprotect below */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(membarrier),
	SCMP_SYS(sched_yield), /* the loop, while a thread is about to wake it */
	SCMP_SYS(sysinfo), /* qsort of much, before glibc 2.37 */
	/* signals, and the end */
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(geteuid),
	SCMP_SYS(exit), /* of the threads */
	SCMP_SYS(exit_group),
#ifdef SANITIZED
	/* the sanitizers' own: reports, shadow memory, and the search for leaks by a thread that traces its process */
	SCMP_SYS(clone),
	SCMP_SYS(getdents),
	SCMP_SYS(getppid),
	SCMP_SYS(getrlimit),
	SCMP_SYS(kill),
	SCMP_SYS(mprotect),
	SCMP_SYS(mmap),
	SCMP_SYS(open),
	SCMP_SYS(pipe2),
	SCMP_SYS(prctl),
	SCMP_SYS(prlimit64),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(ptrace),
	SCMP_SYS(readlink),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(stat),
	SCMP_SYS(tgkill),
	SCMP_SYS(wait4),
#endif
};

/* Those that are right with one argument and not with others. */
static const struct {
	int call;
	struct scmp_arg_cmp argument;
} restricted[] = {
	{SCMP_SYS(socket), {0, SCMP_CMP_EQ, AF_NETLINK, 0}},
	{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, FIONBIO, 0}},
	{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, FIOCLEX, 0}},
#ifndef SANITIZED
	{SCMP_SYS(mmap), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	{SCMP_SYS(mprotect), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
	{SCMP_SYS(rt_sigaction), {0, SCMP_CMP_EQ, SIGTERM, 0}}, /* libuv at the end, */
	{SCMP_SYS(rt_sigaction), {0, SCMP_CMP_EQ, SIGINT, 0}},
	{SCMP_SYS(rt_sigaction), {0, SCMP_CMP_EQ, SIGABRT, 0}}, /* abort */
#endif
};

/* And for the source `kube` only: connections to the API server, by libcurl. */
static const int calls_of_kube[] = {
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(poll),
	SCMP_SYS(shutdown),
};

static const struct {
	int call;
	unsigned n;
	struct scmp_arg_cmp arguments[2];
} restricted_of_kube[] = {
	{SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM}}},
	{SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET6, 0}, {1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM}}},
};

static int fail(int code, const char *what, struct err *err)
{
	return err_errno(err, -code, "seccomp: %s", what);
}

#ifndef SECCOMP_NONE
/*
 * libseccomp 2.5 without memory in the midst of a filter may walk in a circle: the default action of SIGALRM ends us then, and whoever
 * started us tries again. A filter takes some 20 ms.
 */
static void set_watchdog(time_t seconds)
{
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_sec = seconds}, NULL);
}

static int load(scmp_filter_ctx filter, int code, struct err *err)
{
	if (code == 0)
		code = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	set_watchdog(WATCHDOG_S);
	if (code == 0)
		code = seccomp_load(filter);
	seccomp_release(filter);
	set_watchdog(0);
	return code < 0 ? fail(code, "the filter of system calls cannot be set", err) : 0;
}
#endif

static int refuse_io_uring(struct err *err)
{
#ifdef SECCOMP_NONE
	(void)err;
	return 0;
#else
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (!filter)
		return fail(-ENOMEM, "new filter", err);
	return load(filter, seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0), err);
#endif
}

int confine_begin(struct err *err)
{
	uint64_t missing;

	privilege_unbound();
	if (privilege_keep(PRIVILEGE(CAP_NET_ADMIN), &missing, err) < 0)
		return -err->code;
	if (missing)
		return err_set(err, EPERM,
			       "CAP_NET_ADMIN is missing; moat-policyd needs it, in the user namespace that the node's network namespace belongs to");
	return refuse_io_uring(err);
}

#ifndef SECCOMP_OFF
/* Synchronous, at the call itself. SA_RESETHAND has put the default action back, which ends us visibly. */
static void on_violation(int number, siginfo_t *info, void *context)
{
	char line[160];
	int len = snprintf(line, sizeof(line),
			   "level=error event=seccomp-violation syscall=%d arch=0x%x action=ends in-force=what-stands\n", info->si_syscall,
			   info->si_arch);
	ssize_t told = write(STDERR_FILENO, line, (size_t)len);

	(void)context;
	(void)told; /* there is nobody else to tell */
	raise(number);
}
#endif

int confine_calls(bool kube, struct err *err)
{
#ifdef SECCOMP_OFF
	log_warn("seccomp-off reason=\"built so, to see what is called\"");
	(void)err;
	(void)kube;
	(void)calls;
	(void)calls_of_kube;
	(void)restricted;
	(void)restricted_of_kube;
	return 0;
#else
	struct sigaction action = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int code = 0;

	if (!filter)
		return fail(-ENOMEM, "new filter", err);
	sigaction(SIGSYS, &action, NULL);
	for (size_t i = 0; code == 0 && i < ARRAY_SIZE(calls); i++)
		code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; code == 0 && i < ARRAY_SIZE(restricted); i++)
		code = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, restricted[i].call, 1, &restricted[i].argument);
	for (size_t i = 0; code == 0 && kube && i < ARRAY_SIZE(calls_of_kube); i++)
		code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls_of_kube[i], 0);
	for (size_t i = 0; code == 0 && kube && i < ARRAY_SIZE(restricted_of_kube); i++)
		code = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, restricted_of_kube[i].call, restricted_of_kube[i].n, restricted_of_kube[i].arguments);
	/* no call at all: what a tracer that makes one fail puts in its place */
	if (code == 0)
		code = seccomp_attr_set(filter, SCMP_FLTATR_API_TSKIP, 1);
	if (code == 0)
		code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, -1, 0);
	/* to ourselves: raise, abort */
	if (code == 0)
		code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	if (code == 0)
		code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); /* every thread */
	if (code == 0)
		code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: the cost of a call does not grow with the list */
	return load(filter, code, err);
#endif
}
