/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod store: what the plugin remembers between its runs, and tells the daemon. It survives neither a reboot nor needs to.
 *
 *   <dir>/pods/<network>/<containerID>:<ifname>   one attachment, JSON with "version"; 0600, written to a temporary and renamed
 *   <dir>/addrs/<address>                         symbolic link (text, never followed): "<key> <created> <port index>[ <bridge>]" of
 *                                                 the newest owner
 *   <dir>/ports/<port>                            the same for host-side interfaces
 *   <dir>/macs/<MAC>                              the same for MAC addresses of pods that are ports of a bridge
 *   <dir>/bridges/<bridge>                        what was there before moat used the bridge (bridge.h)
 *   <dir>/closing/<network>/<containerID>:<ifname>  an attachment after DEL whose link may still be there
 *   <dir>/proof                                   the last proof that the static rules stand (core/ruleset/proof.c)
 *   <dir>/lock                                    flock of moat's own writers
 *   <dir>/policyd.sock                            the daemon's socket
 *
 * Directories are 0700. Reading is bounded and follows no links; a file that is truncated, of another version or not a
 * regular file is an error that names it, never a crash and never an open pod.
 */
#ifndef MOAT_PODSTORE_H
#define MOAT_PODSTORE_H

#include "moat/attachment.h"

#define PODSTORE_DIR "/run/moat" /* default; MOAT_RUN_DIR in the environment wins */
#define PODSTORE_FILE_MAX 16384  /* bytes of a state file; 32 addresses and three 253-byte names fit four times */
/*
 * A file says the oldest version whose reader understands it, so that a node may go back to an older moat with what that knows: 1 for a
 * routed pod, 2 for a port of a bridge.
 */
#define PODSTORE_VERSION 2
#define PODSTORE_NETWORK_MAX 255      /* characters: a directory's name */
#define PODSTORE_CONTAINER_ID_MAX 239 /* with a colon and an interface name it is a file's name */

const char *podstore_dir(void);
int podstore_init(struct err *err); /* makes the directories that are missing; checks owner and mode of those that exist */
/* Can a state file be written here? Writes and removes one. (STATUS) */
int podstore_writable(struct err *err);

/* A number that changes when a state file comes, goes or is replaced; not when one is edited in place. Costs a look at each network. */
uint64_t podstore_stamp(void);

/*
 * Writes the attachment and makes it the owner of its addresses and port. Everything that needs space on the disk is made
 * under temporary names first, the directory that podstore_mark_closing will need too: -ENOSPC leaves nothing, and DEL needs none.
 * A failure leaves what was there before, another attachment's entries and an earlier one of the same key too.
 */
int podstore_put(const struct attachment *a, struct err *err);
/* Writes the state file anew where it is, pods/ or closing/, and claims nothing (a former owner that lost an address). -ENOENT. */
int podstore_rewrite(const struct attachment *a, struct err *err);
/* Reads one, ->closing set if it is; *ret is the caller's (attachment_free). -ENOENT: none. -EBADMSG: unreadable, named. */
int podstore_get(const char *key, struct attachment **ret, struct err *err);
/*
 * What the index still knows of an attachment whose state file is unreadable: its port, its addresses, when it was created; port is
 * "" if it does not know that. Costs a walk over the whole index. -EINVAL: not a key. *ret is the caller's.
 */
int podstore_recover(const char *key, struct attachment **ret, struct err *err);
/* DEL: moves it to closing/ and takes away index links that are still its own; already there is fine. -ENOENT: none. */
int podstore_mark_closing(const struct attachment *a, struct err *err);
/* The link is gone: forgets it, wherever it is, with the index links that are still its own. Idempotent. */
int podstore_remove(const struct attachment *a, struct err *err);

/*
 * Takes entries out of the index whose attachment has no state file anywhere, and returns how many. Under the lock: a writer puts the
 * state file first, but between a look and a removal another may have taken the entry.
 */
size_t podstore_sweep(void);

/* Key of the owner of an address, a port, a MAC (caller frees); NULL: nobody. */
char *podstore_owner_of_addr(const struct addr *addr);
char *podstore_owner_of_port(const char *port);
char *podstore_owner_of_mac(const uint8_t mac[6]);
/* Has any attachment that is not closing its port on this bridge (NULL: on any)? */
bool podstore_bridge_in_use(const char *bridge);

/* Calls fn for each attachment (closing ones too, ->closing set); err_fn (may be NULL) for each unreadable file, whose key is given. */
typedef void (*podstore_fn)(const struct attachment *a, void *arg);
typedef void (*podstore_err_fn)(const char *key, const struct err *err, void *arg);
int podstore_each(const char *network, podstore_fn fn, podstore_err_fn err_fn, void *arg, struct err *err); /* network NULL: all */
int podstore_each_closing(podstore_fn fn, podstore_err_fn err_fn, void *arg, struct err *err);

/*
 * flock on <dir>/lock, waited for at most wait_ms (polling with a short sleep). Returns the descriptor (close releases), or
 * -ETIMEDOUT: go on without it, every batch is right against any interleaving.
 */
int podstore_lock(unsigned wait_ms, struct err *err);

#endif
