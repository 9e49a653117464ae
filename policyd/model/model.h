/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct cluster: private to cluster.c, claims.c, terms.c, groups.c, profiles.c, budget.c, compile.c,
 * compile_pods.c, escapes.c and explain.c,
 * standing.c.
 *
 *   cluster ── space (a namespace) ── subject (a pod: object, attachments, address claims)
 *                                  ── ruling (a policy: object and the terms of its rules)
 *                                  ── locals, terms fixed to it
 *           ── owner (an address: who claims it, who is the peer)
 *           ── term (a peer as policies write it, interned) ── part ── group ── profile ── local
 */
#ifndef POLICYD_MODEL_H
#define POLICYD_MODEL_H

#include "policyd/model/baseline.h"
#include "policyd/model/compile.h"

#define MODE_LABEL "moat.cni/mode" /* of a Namespace */

struct subject;
struct space;

/* A peer in canonical form, shared by all rules that name it. */
enum term_kind { TERM_PODS, TERM_BLOCK, TERM_ANY, TERM_NODES };

struct term {
	char *text; /* canonical, and the key */
	enum term_kind kind;
	struct space *fixed;        /* TERM_PODS without namespaceSelector: the policy's namespace; else NULL */
	struct selector namespaces; /* TERM_PODS, fixed NULL */
	struct selector pods;
	struct block block;
	VEC(struct block) excepts;
	unsigned refs;           /* rules and parts */
	VEC(struct part *) users; /* parts whose members depend on pods, or nodes */
	size_t index;            /* in its index list, while it has users */
	UT_hash_handle hh;
};

struct term_list {
	struct term **v;
	size_t n, cap;
};

/* A term's place in a group. */
struct part {
	struct term *term;
	struct group *group;
	const char *port_name; /* GROUP_ENDPOINTS */
	uint8_t protocol;
};

struct part_list {
	struct part *v;
	size_t n, cap;
};

struct member_state {
	struct member key;
	unsigned refs; /* parts that select it */
	bool told;     /* a member as of the changes that were recorded last */
	bool touched;  /* in group_state.touched */
	UT_hash_handle hh;
};

struct group_state {
	struct part_list parts; /* never changes: users point into it */
	struct member_state *members;
	size_t n_members; /* with refs */
	VEC(struct member_state *) touched; /* since the last cluster_take_changed_groups */
	bool queued; /* in cluster.changed */
};

/* What holds an address: an attachment here, or the status of a pod elsewhere. */
struct claim {
	struct addr addr;
	struct subject *subject;
	bool local; /* by an attachment, `since` its creation; else by status, since the pod's start */
	bool peer;  /* the subject's Pod is the peer at this address; else somebody unknown is */
	uint64_t since;
};

struct claim_list {
	struct claim *v;
	size_t n, cap;
};

struct owner {
	struct addr addr;
	struct claim_list claims;
	struct subject *peer; /* NULL: no Pod */
	bool doubled;         /* claimed by more than one subject */
	UT_hash_handle hh;
};

struct addr_list {
	struct addr *v;
	size_t n, cap;
};

struct local {
	char *key;
	struct attachment *attachment;
	struct subject *subject;
	struct local_pod *view; /* NULL while closing */
	bool dirty;
	bool fresh; /* (re)attached since the last compile */
	bool settled; /* compiled in this round; these were its profiles before: */
	struct profile *former[DIRECTION_COUNT];
	UT_hash_handle hh;
};

struct local_list {
	struct local **v;
	size_t n, cap;
};

struct subject_list {
	struct subject **v;
	size_t n, cap;
};

/* Who may be a pod: a Pod object, attachments that give its name, or both. */
struct subject {
	struct space *space;
	char *name;
	struct object *object;
	struct local_list locals;
	struct claim_list claims; /* what it has put into the owners */
	struct addr_list addrs;   /* those it is the peer at: what groups hold of it */
	bool ended;               /* an attachment of this very pod came to its end, by DEL */
	bool escaped, told;       /* in cluster.escapes; and told since */
	UT_hash_handle hh;
};

struct ruling_rule {
	const struct policy_rule *rule;
	struct term_list terms;
};

struct ruling {
	struct object *object; /* owned, if it is a policy */
	const struct baseline_rule *baseline; /* else whose it is */
	VEC(struct ruling_rule) rules[DIRECTION_COUNT];
	UT_hash_handle hh;
};

struct space {
	char *name;
	char *excess;  /* the bound beyond which its attached pods are; NULL: none */
	bool compiled; /* among those that are compiled now */
	uint64_t work; /* that it has caused since the work was asked for; in cluster.workers if any */
	struct object *object; /* NULL: not known (yet) */
	struct subject *subjects;
	struct ruling *rulings;
	struct local_list locals;
	VEC(struct ruling *) standing; /* the baseline, as if it stood here; made when a local pod needs it */
	bool has_standing;
	struct term_list terms; /* fixed to it, in use by groups */
	unsigned term_refs;     /* interned terms fixed to it */
	UT_hash_handle hh;
};

struct node_state {
	struct object *object;
	UT_hash_handle hh;
};

/* An address of nodes, for TERM_NODES. */
struct node_addr {
	struct addr addr;
	unsigned refs; /* nodes that have it */
	UT_hash_handle hh;
};

struct slice_state {
	struct object *object;
	UT_hash_handle hh;
};

struct network {
	char *name;
	enum mode mode;
	enum deny deny;
	UT_hash_handle hh;
};

struct space_list {
	struct space **v;
	size_t n, cap;
};

/* What is left to a namespace whose pods are compiled: bounds.h, budget.c. */
struct budget {
	unsigned round;
	size_t unions, peers, members, intervals;
	uint64_t asked;
	char *exceeded; /* which bound; NULL: none */
};

struct ruling_list {
	const struct ruling **v;
	size_t n, cap;
};

/* What the pod that was compiled last had from its policies: replicas have the same. */
struct compile_memo {
	struct ruling_list rulings;
	bool named; /* by a named port of the pod, which is each pod's own */
	struct profile profile;
	char *excess;
};

struct cluster {
	struct space *spaces;
	size_t n_subjects;
	struct budget *budget; /* while a namespace is compiled */
	unsigned budget_rounds;
	struct compile_memo memo[DIRECTION_COUNT]; /* likewise */
	struct node_state *nodes;
	bool nodes_changed;
	struct node_addr *node_addrs;
	struct slice_state *slices;
	struct baseline *baseline;      /* NULL: none */
	struct baseline_rule apiserver; /* what slices say of it; policy NULL: nothing yet */
	struct owner *owners;
	size_t doubled;
	struct local *locals;
	struct local_pod *views;
	struct local_list dirty;
	struct term *terms;
	struct term_list selecting;  /* terms in use with a namespaceSelector */
	struct term_list by_address; /* blocks and "anyone" in use by endpoints */
	struct term_list of_nodes;   /* the nodes, if they are in use */
	struct group *groups;
	struct group_list changed;
	struct group_list idle_groups; /* that had no reference at some moment since they were taken */
	struct profile *profiles;
	struct profile_list idle_profiles;
	bool families[2]; /* of the addresses that pods have had */
	struct network *networks, *followed; /* whose mode a conflist gave last; NULL: none */
	struct tunnel_ports tunnel_ports; /* the conflist's */
	bool tunnels_changed;
	char *node; /* the own one's name; NULL: unknown */
	VEC(struct block) given_ranges;
	struct subject_list escapes;
	bool loosening[MODE_COUNT];
	bool incomplete;
	uint64_t evaluations, handled;
	struct space_list workers;
};

/* cluster.c */
struct space *space_get(struct cluster *c, const char *name); /* makes it */
void space_settle(struct cluster *c, struct space *s);        /* frees it if nothing is left of it */
void space_work(struct cluster *c, struct space *s, uint64_t before); /* charges it with the work since cluster_work was `before` */
uint64_t cluster_work(const struct cluster *c);
struct subject *subject_get(struct cluster *c, struct space *space, const char *name); /* makes it */
void subject_settle(struct cluster *c, struct subject *s);
struct subject *subject_find(const struct cluster *c, const char *ns, const char *name);
bool subject_is(const struct subject *s, const struct attachment *a, bool *ret_by_name_only);

struct ruling *ruling_new(struct cluster *c, struct object *object, const char *ns, const struct baseline_rule *baseline);
void ruling_free(struct cluster *c, struct ruling *r); /* and a policy's object */

/* locals.c */
void local_mark(struct cluster *c, struct local *l);
void local_mark_all(struct cluster *c);

/* standing.c */
void space_make_standing(struct cluster *c, struct space *s);
void space_drop_standing(struct cluster *c, struct space *s);
/* Do other baseline rules than before hold in a namespace whose Namespace was `former` (NULL: not known)? */
bool standing_differs(const struct cluster *c, const struct object *former, const struct object *now);
bool ruling_holds_in(const struct ruling *r, const struct space *s);
void endpoints_put(struct cluster *c, const char *name, struct object *object);
void node_count(struct cluster *c, const struct object *node, int delta); /* node NULL: nothing */
bool cluster_is_node(const struct cluster *c, const struct addr *addr);
void standing_free(struct cluster *c);

/* claims.c: after a change of s' object (former: what it was, may be NULL or the same) or attachments. */
void subject_update(struct cluster *c, struct subject *s, const struct object *former);
void owners_free(struct cluster *c);
/* Is there an attachment of this very pod here (a closing one counts)? */
bool subject_has_attachment(const struct subject *s);

/* escapes.c: after a change of s' object or attachments. */
void escape_settle(struct cluster *c, struct subject *s);

/* terms.c */
struct term *term_get(struct cluster *c, const char *ns, const struct policy_peer *peer); /* a reference; NULL: allows nobody */
struct term *term_get_any(struct cluster *c);
void term_put(struct cluster *c, struct term *t);
void term_ref(struct term *t);
void term_use(struct cluster *c, struct part *p);
void term_unuse(struct cluster *c, struct part *p);
bool term_selects_space(const struct term *t, const struct space *s, const struct object *space_object);
bool term_has_addr(const struct cluster *c, const struct term *t, const struct addr *addr); /* all but TERM_PODS */

/* groups.c */
struct group *group_get(struct cluster *c, enum group_kind kind, struct part_list *parts); /* takes parts' memory; no reference; NULL: beyond the budget */
bool parts_are_everyone(const struct part_list *parts);
/* What the pod of s, as `object`, is at addrs: 1 adds it to the groups that select it, -1 takes it away. */
void members_count(struct cluster *c, const struct subject *s, const struct object *object, const struct addr_list *addrs,
		   int delta);
/* An address of the nodes comes (1) or goes (-1). */
void members_count_node(struct cluster *c, const struct addr *addr, int delta);
void members_move_space(struct cluster *c, struct space *s, const struct object *former);
bool group_has(const struct group *g, const struct member *m);
void group_free(struct cluster *c, struct group *g);

/* budget.c: without a budget everything is afforded and nothing is counted. A group is asked for before it is made, counted when it is used. */
void budget_begin(struct cluster *c, struct budget *b, const struct space *s);
void budget_end(struct cluster *c);
bool budget_affords(struct cluster *c, const struct part_list *parts);
void budget_take_group(struct cluster *c, struct group *g); /* accepts NULL */
void budget_take_profile(struct cluster *c, struct profile *p);

/* compile.c */
/*
 * Fills p with what the policies that select the pod of s, and the baseline, allow; returns whether there are such policies. open_unselected:
 * without one everything is allowed. ret_excess: the bound beyond which that is
 * nothing (caller frees), or NULL.
 */
bool compile_policies(struct cluster *c, const struct subject *s, struct profile *p, bool open_unselected, char **ret_excess);

void compile_forget(struct cluster *c); /* the memo, at the end of a namespace */

/* compile_pods.c */
enum confirmation local_confirmation(const struct local *l, bool *ret_by_name_only);

/* profiles.c */
struct profile *profile_get(struct cluster *c, struct profile *draft); /* takes what is in draft; a reference */
void profile_put(struct cluster *c, struct profile *p); /* accepts NULL */
const char *protocol_name(uint8_t protocol);

#endif
