/* SPDX-License-Identifier: Apache-2.0 */
/* The pod store as the daemon sees it: read at start, followed by inotify and by what the plugin tells the socket. */
#ifndef POLICYD_ATTACHMENTS_H
#define POLICYD_ATTACHMENTS_H

#include <uv.h>

#include "moat/table.h"
#include "policyd/model/cluster.h"

struct known_attachment {
	char *key;
	uint64_t created;
	size_t n_addrs; /* a former owner loses addresses, and gets none, while `created` stays */
	bool closing, seen;
	bool recovered; /* from the index: its state file cannot be read */
	char port[IF_NAMESIZE];
	uint32_t port_index;
	char trouble[192]; /* what health.c says of it; "": nothing */
	UT_hash_handle hh;
};

struct unreadable_attachment {
	char *key;
	char error[256];
};

struct watched_network {
	int watch;
	char *name;
};

struct attachments {
	struct cluster *cluster; /* not owned */
	struct known_attachment *known;
	VEC(struct unreadable_attachment) unreadable; /* of the last full read */
	uint64_t stamp; /* podstore_stamp of what has been read */
	bool unsure;    /* that is not all there is: a file was unreadable, or inotify does not follow it */
	bool unwatched; /* a directory that inotify does not follow */
	VEC(uint32_t) bridges; /* indices of those that have, or had, guarded ports */
	bool links_changed; /* somebody made, changed or deleted an interface: health_look */
	int inotify, links; /* descriptors, -1: none */
	VEC(struct watched_network) networks; /* directories that inotify follows, in pods/ and closing/ */
	uv_poll_t store_events, link_events;
	const struct attachments_calls *calls;
	void *arg;
};

/* What happens on the loop. */
struct attachments_calls {
	void (*changed)(void *arg);        /* the cluster may have changed */
	void (*links_gone)(void *arg);     /* interfaces of the node have */
	void (*bridge_changed)(void *arg); /* somebody may have turned back what moat set of a bridge with guarded ports */
};

/* Opens the pod store and reads it; start follows it on the loop. */
int attachments_init(struct attachments *a, struct cluster *cluster, struct err *err);
int attachments_start(struct attachments *a, uv_loop_t *loop, const struct attachments_calls *calls, void *arg, struct err *err);
void attachments_close_handles(struct attachments *a);
void attachments_done(struct attachments *a);

/*
 * Reads one attachment, or finds that it is gone; true if the cluster changed. announced: the plugin says that it has put the pod into
 * the kernel just now, closed, so its policy is to be applied even to an attachment that is known already.
 */
bool attachments_read(struct attachments *a, const char *key, bool announced);
/* Reads the whole store; true if the cluster changed. */
bool attachments_read_all(struct attachments *a);
/* The same if something may have been missed. */
bool attachments_look(struct attachments *a);
/* Finishes the attachments in closing/ whose link is gone. */
void attachments_release_closed(struct attachments *a);

#endif
