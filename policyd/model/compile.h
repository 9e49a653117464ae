/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies to profiles. A profile is what one direction of a pod allows: disjoint port intervals, each with a peer group.
 * Profiles and groups are named by their definition (what policies say), never by their content (who matches now), and
 * shared by all pods with the same definition. reconcile.c turns them into chains, maps and sets; explain.c reads the same
 * model.
 */
#ifndef POLICYD_COMPILE_H
#define POLICYD_COMPILE_H

#include "moat/table.h"
#include "policyd/model/cluster.h"

#define DEFINITION_NAME_MAX 33 /* 32 hex digits of SHA-256 over the definition (tenants write it), and NUL */

/* An element of a group's set in the kernel. */
struct member {
	struct addr addr;
	uint8_t protocol; /* GROUP_ADDRS: 0; GROUP_ENDPOINTS: of the named port, */
	uint16_t port;    /* and its number in this pod, host order */
};

struct member_change {
	struct member member;
	bool added; /* else removed */
};

enum group_kind {
	GROUP_ADDRS,     /* peers by address: pods and blocks */
	GROUP_ENDPOINTS, /* egress to named ports: address . protocol . port of the pods that define the name */
};

struct addr_range {
	struct addr first, last; /* one family, inclusive */
};

/* A peer group in use by some profile. Its members are pods' addresses now; its ranges are fixed by its definition. */
struct group {
	char name[DEFINITION_NAME_MAX];
	char *definition;
	enum group_kind kind;
	bool any[2];                    /* [0] all of IPv4, [1] all of IPv6 are members */
	VEC(struct addr_range) ranges;  /* blocks minus their own excepts, united over all peers, merged, sorted; not the any[] families */
	VEC(struct member_change) changes; /* since group_changes_clear; nothing is recorded before `installed` is set */
	bool installed;                 /* reconcile's: its sets are in the kernel, */
	uint32_t number;                /* under this number, */
	uint8_t chains;                 /* with these chains: a bit per variant of program.h */
	bool idle;                      /* cluster's: in its list of what may be unused, */
	unsigned counted;               /* and in the last budget that met it */
	unsigned refs;                  /* profiles that use it */
	UT_hash_handle hh;              /* cluster's table, by name */
	struct group_state *state;      /* cluster's own: terms and members */
};

/* What happens at the end of a profile, to a packet that nothing allowed. */
enum profile_end { END_DROP, END_REJECT, END_OBSERVE, END_COUNT };

struct profile_entry {
	uint8_t protocol;      /* IPPROTO_TCP, _UDP, _SCTP */
	uint16_t first, last;  /* host order, inclusive; entries of a profile are sorted and disjoint */
	struct group *group;   /* NULL: every peer */
};

struct profile {
	char name[DEFINITION_NAME_MAX];
	enum direction direction;
	enum profile_end end;
	bool open;                  /* allows everything: nothing below matters */
	VEC(struct profile_entry) entries; /* by port; what an entry's group does not hold goes to `end` (entries hold the portless peers too) */
	struct group *portless;     /* peers of rules without ports: ICMP and every other protocol and port; NULL: none */
	struct group *endpoints;    /* GROUP_ENDPOINTS tried before entries; NULL: none. Egress only */
	bool installed;             /* reconcile's: in the kernel, */
	uint32_t number;            /* under this number */
	bool idle;                  /* as a group's, */
	unsigned counted;           /* too */
	unsigned refs;
	UT_hash_handle hh;
};

/* The empty profile: nothing allowed. It needs no map and no chain of its own in the kernel. */
bool profile_is_empty(const struct profile *p);

struct group_list {
	struct group **v;
	size_t n, cap;
};
struct profile_list {
	struct profile **v;
	size_t n, cap;
};

/* The groups in use, and groups whose last profile went (installed, refs 0): reconcile removes those from the kernel first. */
struct group *cluster_groups(struct cluster *c);     /* head of the uthash table by name; iterate with ->hh.next */
struct profile *cluster_profiles(struct cluster *c); /* the same for profiles */
void cluster_forget_group(struct cluster *c, struct group *g);     /* refs must be 0; frees it */
void cluster_forget_profile(struct cluster *c, struct profile *p); /* refs must be 0; drops its references to groups; frees it */

/* What nobody refers to any more: fills ret (caller frees ->v); each must be forgotten at once. Profiles first: they refer to groups. */
void cluster_take_unused_profiles(struct cluster *c, struct profile_list *ret);
void cluster_take_unused_groups(struct cluster *c, struct group_list *ret);

/* Has any pod ever had an address of this family ([0] IPv4, [1] IPv6)? It is not forgotten. */
bool cluster_has_family(const struct cluster *c, int f);

/*
 * Groups that have recorded changes since they were last asked for: fills ret (caller frees ->v) and forgets the list.
 * Changes are netted: what went and came back in between is none.
 */
void cluster_take_changed_groups(struct cluster *c, struct group_list *ret);
void group_changes_clear(struct group *g);

/* The group of every pod of every known Namespace, made if no policy has it, with a reference for the caller. */
struct group *cluster_every_pod(struct cluster *c);
void cluster_put_group(struct cluster *c, struct group *g); /* gives back the reference */

/*
 * Calls fn for every member now. Of a group that is not installed (or no longer: set it false first) changes count from here:
 * read, then set `installed`, without a change of the cluster in between.
 */
typedef void (*group_member_fn)(const struct member *m, void *arg);
void group_members(const struct group *g, group_member_fn fn, void *arg);
size_t group_size(const struct group *g);

/* A local attachment and the profiles it should have. The view is the cluster's, valid until the next change of it. */
enum confirmation {
	POD_CONFIRMED,
	POD_UNKNOWN,        /* no such pod in the source (yet), or it has another UID: closed */
	POD_NAMESPACE_UNKNOWN, /* closed */
	POD_NOT_KUBERNETES, /* the attachment names no pod: closed */
};

struct local_pod {
	char *key; /* attachment_key */
	struct attachment *attachment;
	enum confirmation confirmation;
	bool by_name_only;  /* no UID to compare on one of the sides */
	enum mode mode;     /* effective: conflist, attachment, namespace label */
	bool label_ignored; /* the namespace's moat.cni/mode was not applied (unknown, or it would loosen) */
	bool selected[DIRECTION_COUNT];
	char *excess[DIRECTION_COUNT]; /* its policies are beyond this bound, so nothing is allowed; else NULL */
	bool excess_told;              /* reconcile's */
	struct profile *profile[DIRECTION_COUNT]; /* referenced */
	bool lost[DIRECTION_COUNT]; /* it may be allowed less than it was: set by cluster_compile, cleared by who has looked after it */
	bool spared;        /* adopted just now: a rebuild does not make it one that may have lost something; cleared with lost */
	bool node_open;     /* may always reach its own node: mode standard and confirmed */
	bool node_known;    /* reconcile's: the kernel does not have it so (ADD leaves it so too) */
	UT_hash_handle hh;
};

/*
 * Recompiles what changed since the last call and fills ret with the local pods whose profile, end or node_open changed
 * (or that are new since, or were replaced). Each holds references to its new profiles; those it had are released (a profile at 0 refs stays
 * in the table until cluster_forget_profile). Caller frees ->v.
 */
struct local_pod_list {
	struct local_pod **v;
	size_t n, cap;
};
void cluster_compile(struct cluster *c, struct local_pod_list *ret);

struct local_pod *cluster_local_pods(struct cluster *c); /* head of the uthash table by key */

/* Would this profile let a packet pass? peer is the other end's address. port is host order; protocol without ports: 0. */
bool profile_allows(const struct profile *p, const struct addr *peer, uint8_t protocol, uint16_t port);

#endif
