/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes are looked for, not interpreted: whatever inotify tells of the directories, everything is compared with what it should be, and
 * once every some seconds without being told (a directory that was replaced, a ConfigMap's link, the daemon's answer). Our own writes
 * are events too; after them nothing differs.
 */
#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "install/file.h"
#include "install/install.h"
#include "moat/log.h"

#define LOOK_MS 5000   /* without an event */
#define RETRY_MS 1000  /* after a failure */
#define SETTLE_MS 20   /* a writer has more than one event */
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB)

/* Idempotent: the same directory has the same watch. */
static void watch(int inotify, const struct install_options *options)
{
	CLEAN_FREE char *settings = mem_strdup(options->settings);

	inotify_add_watch(inotify, options->conf_dir, EVENTS);
	inotify_add_watch(inotify, options->bin_dir, EVENTS);
	if (settings)
		inotify_add_watch(inotify, dirname(settings), EVENTS);
}

static void drain(int inotify)
{
	char events[16384];

	while (read(inotify, events, sizeof(events)) > 0)
		;
}

/* True until a signal says that it is over. */
static bool wait_for_change(int inotify, int signals, int timeout_ms)
{
	struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = inotify, .events = POLLIN}};

	if (poll(fds, 2, timeout_ms) > 0 && !fds[0].revents)
		poll(fds, 1, SETTLE_MS);
	drain(inotify);
	return !fds[0].revents;
}

static void sweep(const struct install_options *options)
{
	const char *directories[] = {options->conf_dir, options->bin_dir};

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		CLEAN_CLOSE int dir = file_open_dir(directories[i], NULL);

		if (dir >= 0)
			file_sweep(dir);
	}
}

int install_follow(const struct install_options *options, struct err *err)
{
	CLEAN_CLOSE int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), signals = -1;
	char trouble[ERR_TEXT_MAX] = "";
	sigset_t set;
	int code;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (inotify < 0 || signals < 0)
		return err_errno(err, errno, "inotify, signalfd");
	sweep(options);
	do {
		watch(inotify, options);
		code = install_put(options, err);
		if (code < 0 && strcmp(trouble, err->text) != 0)
			log_warn("not-installed error=\"%s\" on-the-node=what-stands", err->text);
		else if (code == 0 && trouble[0])
			log_info("installed-again after=\"%s\"", trouble);
		memcpy(trouble, code < 0 ? err->text : "", code < 0 ? sizeof(trouble) : 1);
	} while (wait_for_change(inotify, signals, code < 0 ? RETRY_MS : LOOK_MS));
	return 0;
}
