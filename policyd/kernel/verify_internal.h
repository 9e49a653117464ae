/* SPDX-License-Identifier: Apache-2.0 */
/* What should stand in moat's tables, thing by thing: what a survey asks the model for, and whose each object is. */
#ifndef POLICYD_VERIFY_INTERNAL_H
#define POLICYD_VERIFY_INTERNAL_H

#include "moat/inventory.h"
#include "policyd/kernel/reconcile.h"

/* Who wants an object, besides pods, which are owners by their key: addresses are all that counts of these. */
extern char verify_of_static_part, verify_of_surroundings, verify_of_program, verify_of_closing;

void verify_want_static_part(struct inventory *inv, bool bridges);
void verify_want_surroundings(struct reconcile *r, struct inventory *inv);
void verify_want_known(struct reconcile *r, struct inventory *inv);
void verify_want_closing(struct inventory *inv); /* ports that wait for their links' end */

/* By name; nothing if it is gone meanwhile, or not in the kernel. */
void verify_want_group(struct reconcile *r, struct inventory *inv, const char *name);
void verify_want_profile(struct reconcile *r, struct inventory *inv, const char *name);
void verify_want_pod(struct reconcile *r, struct inventory *inv, char *key); /* the key lives as long as the inventory */

struct local_pod *verify_pod(struct reconcile *r, const char *key); /* NULL: it is gone */

#endif
