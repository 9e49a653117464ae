/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two selectors, labels and the ports of a rule, drawn from the bytes. A selector matches as the oracle reads it; two of one canonical
 * form match the same, and a copy has it too; the entries of a profile are sorted, disjoint, and the union of the rule's ports.
 */
#include <netinet/in.h>
#include <string.h>

#include "tests/build.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/world.h"

static const char *const keys[] = {"a", "b", "c"};
static const char *const values[] = {"", "x", "y", "z"};

static void draw_selector(struct fuzz_input *in, struct selector *s)
{
	for (unsigned n = fuzz_byte(in) % 4; n > 0; n--) {
		enum selector_op op = (enum selector_op)(fuzz_byte(in) % 4);
		const char *key = keys[fuzz_byte(in) % 3], *list[4];
		size_t n_values = op == OP_IN || op == OP_NOT_IN ? 1 + fuzz_byte(in) % 4 : 0;

		for (size_t i = 0; i < n_values; i++)
			list[i] = values[fuzz_byte(in) % 4];
		selector_add(s, key, op, list, n_values);
	}
}

static void draw_labels(struct fuzz_input *in, struct labels *l)
{
	for (unsigned n = fuzz_byte(in) % 4; n > 0; n--)
		labels_set(l, keys[fuzz_byte(in) % 3], values[fuzz_byte(in) % 4]);
}

static uint16_t draw_port(struct fuzz_input *in)
{
	uint16_t high = fuzz_byte(in);

	return (uint16_t)(high << 8 | fuzz_byte(in));
}

static void draw_ports(struct fuzz_input *in, struct policy_rule *rule)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

	rule->any_port = false;
	for (unsigned n = fuzz_byte(in) % 8; n > 0; n--) {
		uint8_t kind = fuzz_byte(in);
		struct policy_port port = {.protocol = protocols[kind % 3]};

		if (kind & 0x80) {
			port.name = mem_strdup(kind & 0x40 ? "web" : "dns");
		} else {
			port.first = draw_port(in);
			port.last = kind & 0x40 ? draw_port(in) : port.first;
			if (port.last < port.first)
				port.last = port.first;
		}
		VEC_PUSH(&rule->ports, port);
	}
}

static void check_selectors(const struct selector *a, const struct selector *b, const struct labels *l, const struct world *w,
			    const struct object *pod)
{
	CLEAN_FREE char *text = selector_canonical(a), *other = selector_canonical(b), *again = NULL;
	struct selector copy = {0};

	FUZZ_CHECK(selector_matches(a, l) == oracle_selected(w, pod, INGRESS));
	FUZZ_CHECK(strcmp(text, other) != 0 || selector_matches(a, l) == selector_matches(b, l));
	selector_copy(&copy, a);
	again = selector_canonical(&copy);
	FUZZ_CHECK(!strcmp(text, again) && selector_matches(&copy, l) == selector_matches(a, l));
	selector_done(&copy);
}

static void check_entries(const struct profile *p)
{
	for (size_t i = 0; i < p->entries.n; i++) {
		const struct profile_entry *e = &p->entries.v[i], *before = i ? e - 1 : NULL;

		FUZZ_CHECK(e->first <= e->last);
		FUZZ_CHECK(!before || before->protocol < e->protocol ||
			   (before->protocol == e->protocol && before->last < e->first));
	}
}

static struct object *draw_policy(const uint8_t *data, size_t len, struct fuzz_input *ret_rest)
{
	struct object *o = build_policy("a", "n", NULL, INGRESS);
	struct fuzz_input in = {data, len};

	draw_selector(&in, &o->policy.pods);
	draw_ports(&in, build_rule(o, INGRESS));
	*ret_rest = in;
	return o;
}

static void run(const uint8_t *data, size_t len)
{
	struct cluster *c = cluster_new();
	struct attachment *a = build_attachment("c1", "a", "p", "10.0.0.1");
	struct object *pod = build_pod("a", "p", NULL, NULL, "web=tcp/80,dns=udp/53,web=sctp/9");
	struct object *pod_too = build_pod("a", "p", NULL, NULL, "web=tcp/80,dns=udp/53,web=sctp/9");
	struct object *space = build_namespace("a", NULL);
	struct selector other = {0};
	struct local_pod_list changed;
	struct fuzz_input rest;
	struct world w = {0};

	VEC_PUSH(&w.objects, draw_policy(data, len, &rest));
	VEC_PUSH(&w.objects, pod);
	VEC_PUSH(&w.objects, space);
	VEC_PUSH(&w.attachments, a);
	cluster_upsert(c, draw_policy(data, len, &rest));
	draw_selector(&rest, &other);
	draw_labels(&rest, &pod->pod.labels);
	for (size_t i = 0; i < pod->pod.labels.n; i++)
		labels_set(&pod_too->pod.labels, pod->pod.labels.v[i].key, pod->pod.labels.v[i].value);
	cluster_upsert(c, pod_too);
	cluster_upsert(c, build_namespace("a", NULL));
	cluster_attach(c, a);
	cluster_compile(c, &changed);
	free(changed.v);

	check_selectors(&w.objects.v[0]->policy.pods, &other, &pod->pod.labels, &w, pod);
	check_entries(build_local(c, "c1")->profile[INGRESS]);
	fuzz_world_agree(&w, c, 1);
	fuzz_world_program(c);
	selector_done(&other);
	cluster_free(c);
	for (size_t i = 0; i < w.objects.n; i++)
		object_free(w.objects.v[i]);
	attachment_free(a);
	VEC_DONE(&w.objects);
	VEC_DONE(&w.attachments);
}

const struct fuzz_target fuzz_selector = {"selector", NULL, run};
