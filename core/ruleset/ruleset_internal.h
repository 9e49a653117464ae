/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ruleset share: rules that several chains have. `chain` is static text, as for rule_end_tagged. */
#ifndef CORE_RULESET_INTERNAL_H
#define CORE_RULESET_INTERNAL_H

#include "moat/ruleset.h"

/* A rule that is nothing but its verdict. */
void ruleset_always(struct txn *t, const char *chain, void (*verdict)(struct txn *, const char *), const char *to);
void ruleset_accept(struct txn *t, const char *unused); /* verdicts without a chain, for it */
void ruleset_return(struct txn *t, const char *unused);
void ruleset_drop(struct txn *t, const char *chain); /* the whole rule */
/* ip saddr|daddr @sets goto lost, both families */
void ruleset_lost_if_in(struct txn *t, const char *chain, const struct set_spec sets[2], bool destination);
void ruleset_count_and_log(struct txn *t, const char *chain, uint16_t group);

struct txn *ruleset_wanted(enum table table); /* the tags of its static rules, and nothing else; the caller frees */
void ruleset_put_ends(struct txn *t);
void ruleset_put_rules(struct txn *t); /* of table inet moat */
void ruleset_put_bridge_sets(struct txn *t);
void ruleset_put_bridge_rules(struct txn *t);

#endif
