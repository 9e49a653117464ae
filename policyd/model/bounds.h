/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant may write
 *
 * Tenants write NetworkPolicies, Pods, and often their Namespace; one daemon per node reads what all of them write. These are
 * the most that one of them may cost the others. They are far beyond what people write and small enough that the dearest change
 * within them costs a fifth of a second of one processor (measured with 10,000 pods; what it costs by the line stands there). Beyond
 * them the tenant's pods are closed, nobody else's, and log, status and explain say which bound it was.
 *
 * One policy (decode_bounds.c): the pods that it selects are closed.
 */
#ifndef POLICYD_BOUNDS_H
#define POLICYD_BOUNDS_H

#define POLICY_RULES_MAX 1000              /* ingress and egress. Each is a union of its own at worst: see SPACE_UNIONS_MAX */
#define POLICY_SELECTOR_BYTES_MAX 131072   /* keys and values of all its selectors; 1 µs per 100 each time they are interned */
#define RULE_PEERS_MAX 10000               /* peers, and excepts of its blocks: 8 ms. The published ranges of a large cloud are as many */
#define RULE_PORTS_MAX 1000                /* 1 ms, once for each pod that the policy selects */

/* One object: it is not used, so its pods are not known. */
#define LABEL_BYTES_MAX 65536 /* keys and values; the API server bounds annotations by 256 KiB, labels only by the object */

/* One pod: those beyond are left out. Who allows egress to a named port gets each as an element of a set. */
#define POD_NAMED_PORTS_MAX 256

/* One namespace, in the cluster: its pods are closed. */
#define SPACE_POLICIES_MAX 1000 /* each is asked whether it selects a pod, when the pod or the policies change */

/*
 * One namespace, on this node: what the policies of its attached pods come to, each union and profile counted once. Selectors
 * multiply, so these are counted while compiling (budget.c), which stops where one is passed.
 */
#define SPACE_UNIONS_MAX 1000       /* peer groups. 200 ms: the kernel finds each of its sets by name, one by one */
#define SPACE_PEERS_MAX 200000      /* peers in them: 200 ms to sort and name them */
#define SPACE_MEMBERS_MAX 500000    /* pod addresses and ranges in them: 0.3 µs and 100 bytes of the kernel each */
#define SPACE_INTERVALS_MAX 10000   /* port intervals of its profiles: 20 µs each */
#define SPACE_ASKED_MAX 10000000ULL /* pods whose labels are asked to find the members: 25 ns each */

/* A peer with a namespaceSelector counts for so many pods at least: it is asked at each change of any pod, too. */
#define ASKED_OF_ALL_MIN 10000

#endif
