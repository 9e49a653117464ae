/* SPDX-License-Identifier: Apache-2.0 */
/* Pods as a primary plugin makes them, without moat: network namespaces behind veths, inside a user namespace. Only in a process that Check forked. */
#ifndef TESTS_NETPODS_H
#define TESTS_NETPODS_H

void netpods_make(void);   /* a checked fixture: before each test, */
void netpods_remove(void); /* and after */
void netpods_sh(const char *commands); /* by the shell, on the node; they must succeed */
void netpods_in(unsigned n, const char *commands); /* in the n-th pod's namespace, from 0 */
/* A pod with these addresses behind port, which is routed (of_bridge NULL) or a port of that bridge. */
void netpods_add(const char *port, const char *of_bridge, const char *addr4, const char *addr6);

#endif
