/* SPDX-License-Identifier: Apache-2.0 */
/* Where a packet's way ends: denied, rejected, observed, lost. The last chains of table inet moat; theory: ruleset.c. */
#include <netinet/in.h>

#include "core/ruleset/ruleset_internal.h"
#include "moat/rule.h"

static const int families[2] = {AF_INET, AF_INET6};

void ruleset_always(struct txn *t, const char *chain, void (*verdict)(struct txn *, const char *), const char *to)
{
	rule_begin(t, chain);
	verdict(t, to);
	rule_end_tagged(t, chain);
}

void ruleset_accept(struct txn *t, const char *unused)
{
	(void)unused;
	rule_accept(t);
}

void ruleset_return(struct txn *t, const char *unused)
{
	(void)unused;
	rule_return(t);
}

void ruleset_lost_if_in(struct txn *t, const char *chain, const struct set_spec sets[2], bool destination)
{
	for (int f = 0; f < 2; f++) {
		rule_begin(t, chain);
		if (destination)
			rule_load_daddr(t, families[f]);
		else
			rule_load_saddr(t, families[f]);
		rule_in(t, sets[f].name);
		rule_goto(t, "lost");
		rule_end_tagged(t, chain);
	}
}

/* counter, and the log for whoever listens: 100 a second name the cause and cost nothing. */
void ruleset_count_and_log(struct txn *t, const char *chain, uint16_t group)
{
	rule_begin(t, chain);
	rule_counter(t);
	rule_end_tagged(t, chain);
	rule_begin(t, chain);
	rule_limit(t, 100, 5);
	rule_log(t, group, chain);
	rule_end_tagged(t, chain);
}

void ruleset_drop(struct txn *t, const char *chain)
{
	rule_begin(t, chain);
	rule_drop(t);
	rule_end_tagged(t, chain);
}

/*
 * An answer instead of silence, to a NEW packet only, and only where the peer is settled: a client whose address the
 * daemon has not seen yet must retry, not fail.
 */
static void put_reject(struct txn *t, const char *chain, const char *answer, bool egress)
{
	ruleset_count_and_log(t, chain, LOG_GROUP_DENIED);
	rule_begin(t, chain); /* mid-stream and invalid packets get no answer */
	rule_ct_state_not(t, CT_NEW);
	rule_drop(t);
	rule_end_tagged(t, chain);
	for (int pass = 0; pass < 2; pass++) {
		for (int f = 0; f < 2; f++) { /* peer @known goto answer; peer @unsettled drop */
			rule_begin(t, chain);
			if (egress)
				rule_load_daddr(t, families[f]);
			else
				rule_load_saddr(t, families[f]);
			rule_in(t, pass == 0 ? set_known[f].name : set_unsettled[f].name);
			if (pass == 0)
				rule_goto(t, answer);
			else
				rule_drop(t);
			rule_end_tagged(t, chain);
		}
	}
	ruleset_always(t, chain, rule_goto, answer);
}

static void put_answer(struct txn *t)
{
	rule_begin(t, "answer");
	rule_l4proto(t, IPPROTO_TCP);
	rule_limit(t, 100, 50);
	rule_reject_tcp_reset(t);
	rule_end_tagged(t, "answer");
	rule_begin(t, "answer");
	rule_not_l4proto(t, IPPROTO_TCP);
	rule_limit(t, 100, 50);
	rule_reject_admin_prohibited(t);
	rule_end_tagged(t, "answer");
	ruleset_drop(t, "answer"); /* above the rate */
}

/* The node's own addresses are in its ranges too: gateways. As destinations they do not come here, since `input` does not ask `to`. */
static void put_unguarded(struct txn *t)
{
	static const char *const chains[] = {CHAIN_UNGUARDED, CHAIN_UNGUARDED_OBSERVED};

	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		rule_begin(t, chains[i]); /* fib saddr type local return */
		rule_saddr_local(t);
		rule_return(t);
		rule_end_tagged(t, chains[i]);
		ruleset_count_and_log(t, chains[i], LOG_GROUP_LOST);
	}
	ruleset_drop(t, CHAIN_UNGUARDED);
	ruleset_always(t, CHAIN_UNGUARDED_OBSERVED, ruleset_return, NULL);
}

void ruleset_put_ends(struct txn *t)
{
	ruleset_count_and_log(t, CHAIN_DENY_INGRESS, LOG_GROUP_DENIED);
	ruleset_drop(t, CHAIN_DENY_INGRESS);
	ruleset_count_and_log(t, CHAIN_DENY_EGRESS, LOG_GROUP_DENIED);
	ruleset_drop(t, CHAIN_DENY_EGRESS);
	put_reject(t, CHAIN_REJECT_INGRESS, "answer", false);
	put_reject(t, CHAIN_REJECT_EGRESS, "answer", true);
	put_answer(t);
	ruleset_count_and_log(t, CHAIN_OBSERVE_INGRESS, LOG_GROUP_DENIED);
	ruleset_always(t, CHAIN_OBSERVE_INGRESS, ruleset_return, NULL);
	ruleset_count_and_log(t, CHAIN_OBSERVE_EGRESS, LOG_GROUP_DENIED);
	ruleset_always(t, CHAIN_OBSERVE_EGRESS, ruleset_return, NULL);
	ruleset_always(t, CHAIN_OPEN, ruleset_return, NULL);
	ruleset_count_and_log(t, "lost", LOG_GROUP_LOST);
	ruleset_drop(t, "lost");
	put_unguarded(t);
}
