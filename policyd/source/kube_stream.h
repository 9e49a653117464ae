/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts what an API server sends into one object at a time, in bounded memory, however it arrives: the items of a list, the events
 * of a watch. Pure: it looks at brackets and strings only, and leaves the rest to who parses the pieces.
 */
#ifndef POLICYD_KUBE_STREAM_H
#define POLICYD_KUBE_STREAM_H

#include "moat/err.h"

/*
 * etcd takes 1.5 MiB of protobuf per object. As JSON that grows: '<' becomes \u003c, {"podSelector":{}} are four bytes there. 16 MiB
 * hold every object that an API server can have, and of what comes around objects 64 KiB hold a hundred times as much as there is.
 */
#define KUBE_OBJECT_BYTES_MAX (16u << 20)
#define KUBE_ENVELOPE_BYTES_MAX (64u << 10)

enum kube_shape {
	KUBE_LIST,  /* one object; each element of its "items" is cut out of it */
	KUBE_WATCH, /* one object after the other; the "object" of each is cut out of it */
};

struct kube_bytes {
	char *v;
	size_t n, cap;
};

/* What is whole now. Negative: the rest is not wanted, err says why. */
struct kube_stream_events {
	int (*object)(void *arg, const char *text, size_t len, struct err *err);   /* before its envelope */
	int (*envelope)(void *arg, const char *text, size_t len, struct err *err); /* what is around, with [] or {} in its place */
	void *arg;
};

struct kube_stream {
	enum kube_shape shape;
	struct kube_bytes envelope, object;
	size_t depth;        /* of brackets, from the envelope's outermost */
	bool in_string, escaped;
	bool at_key;         /* in the envelope's outermost map: the next string is a key */
	bool wanted;         /* that key's value is to be cut out */
	bool in_key;
	char key[8];
	size_t key_len;
	size_t cut_depth;    /* where the piece began; 0: none */
	bool in_items;
	bool after_item;
	bool ended;          /* KUBE_LIST: its envelope is whole */
};

void kube_stream_init(struct kube_stream *s, enum kube_shape shape);
void kube_stream_done(struct kube_stream *s);
int kube_stream_feed(struct kube_stream *s, const char *bytes, size_t n, const struct kube_stream_events *events, struct err *err);

/* Nothing has begun that is not whole: here the sender may end. */
bool kube_stream_may_end(const struct kube_stream *s);

#endif
