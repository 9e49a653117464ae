/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attachment is what the CNI specification adds and deletes: network name + container id + interface name. This is all
 * moat remembers of one: what the plugin writes to the pod store, and what the daemon reads from it.
 */
#ifndef MOAT_ATTACHMENT_H
#define MOAT_ATTACHMENT_H

#include <net/if.h>

#include "moat/addr.h"
#include "moat/mode.h"
#include "moat/tunnel.h"

#define ATTACHMENT_ADDRS_MAX 32 /* addresses of one attachment; the kernel's element batch and the state file stay small */

/*
 * A pod that ran before moat did has no ADD: the daemon adopts it. Its network is then ADOPTED_NETWORK, its container id the UID that the
 * runtime knows the pod by (or "<namespace>_<name>"), its interface eth0: DEL finds it by the UID that the runtime passes.
 */
#define ADOPTED_NETWORK "adopted"
#define ADOPTED_IFNAME "eth0"

enum adoption {
	ADOPTION_NONE,     /* it was attached */
	ADOPTION_HELD,     /* adopted, and in preview at most until somebody says so */
	ADOPTION_ENFORCED, /* adopted, and like any other since */
};

struct attachment {
	char *network;      /* the key: CNI network name, … */
	char *container_id; /* CNI_CONTAINERID, … */
	char *ifname;       /* CNI_IFNAME */

	char *pod_namespace; /* K8S_POD_NAMESPACE of CNI_ARGS; NULL without Kubernetes */
	char *pod_name;
	char *pod_uid; /* NULL if the runtime does not pass it */

	char port[IF_NAMESIZE]; /* host-side interface, */
	uint32_t port_index;    /* and its index when it was found by the peer index of the container's interface */
	uint32_t peer_index;    /* the container's interface, in its own namespace */
	char bridge[IF_NAMESIZE]; /* that the port belongs to; "" if it is routed, and then the three below are nothing */
	uint32_t bridge_index;
	uint8_t bridge_mac[6];
	uint8_t mac[6]; /* of the container's interface */
	struct addr addrs[ATTACHMENT_ADDRS_MAX];
	size_t n_addrs;

	enum mode mode; /* of the conflist, at ADD */
	enum deny deny;
	struct tunnel_ports tunnel_ports; /* n 0: the conflist had none */
	uint64_t created; /* CLOCK_REALTIME, ns: the newest attachment of a pod is the peer */
	enum adoption adoption;
	bool closing;     /* DEL came, the port's link may still be there: nothing is allowed, the port stays closed */
};

/* "network/containerID:ifname": the key as text, and the path below the store's directory. Caller frees. */
char *attachment_key(const struct attachment *a);
struct attachment *attachment_copy(const struct attachment *a); /* deep; attachment_free */
void attachment_done(struct attachment *a);                     /* frees what it holds, not itself */
void attachment_free(struct attachment *a);                     /* accepts NULL */
const char *attachment_input(const struct attachment *a);        /* where IP hears the pod: its bridge, or its port */
bool attachment_has_addr(const struct attachment *a, const struct addr *addr);

#endif
