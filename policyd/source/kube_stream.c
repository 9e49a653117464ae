/* SPDX-License-Identifier: Apache-2.0 */
#include "policyd/source/kube_stream.h"

#include <string.h>

void kube_stream_init(struct kube_stream *s, enum kube_shape shape)
{
	memset(s, 0, sizeof(*s));
	s->shape = shape;
}

void kube_stream_done(struct kube_stream *s)
{
	free(s->envelope.v);
	free(s->object.v);
	memset(s, 0, sizeof(*s));
}

bool kube_stream_may_end(const struct kube_stream *s)
{
	return s->depth == 0 && (s->shape == KUBE_WATCH || s->ended);
}

static int append(struct kube_bytes *b, const char *bytes, size_t n, size_t max, const char *what, struct err *err)
{
	if (n > max - b->n)
		return err_set(err, EFBIG, "%s of more than %zu bytes", what, max);
	if (b->n + n > b->cap) {
		b->cap = b->cap * 2 > b->n + n ? b->cap * 2 : b->n + n + 1024;
		b->v = mem_realloc(b->v, b->cap, 1);
	}
	memcpy(b->v + b->n, bytes, n);
	b->n += n;
	return 0;
}

/* What one object took is not held for ever if it was a giant. */
static void empty(struct kube_bytes *b)
{
	b->n = 0;
	if (b->cap > (size_t)KUBE_ENVELOPE_BYTES_MAX * 4) {
		free(b->v);
		*b = (struct kube_bytes){0};
	}
}

static int keep(struct kube_stream *s, const char *bytes, size_t n, struct err *err)
{
	if (s->cut_depth)
		return append(&s->object, bytes, n, KUBE_OBJECT_BYTES_MAX, "an object", err);
	if (s->in_items)
		return 0; /* commas and space between items */
	return append(&s->envelope, bytes, n, KUBE_ENVELOPE_BYTES_MAX, "what is around objects is", err);
}

/* A string of any kind, up to its end or that of the bytes. Returns how many bytes it had here. */
static size_t pass_string(struct kube_stream *s, const char *bytes, size_t n)
{
	size_t i = 0;

	for (; i < n && s->in_string; i++) {
		if (s->in_key && bytes[i] != '"' && s->key_len < sizeof(s->key))
			s->key[s->key_len++] = bytes[i];
		if (s->escaped)
			s->escaped = false;
		else if (bytes[i] == '\\')
			s->escaped = true;
		else if (bytes[i] == '"')
			s->in_string = false;
	}
	if (!s->in_string && s->in_key) {
		const char *name = s->shape == KUBE_LIST ? "items" : "object";

		s->in_key = false;
		s->wanted = s->key_len == strlen(name) && !memcmp(s->key, name, s->key_len);
	}
	return i;
}

static void open_bracket(struct kube_stream *s, char c)
{
	s->depth++;
	if (s->depth == 1) {
		s->at_key = true;
		return;
	}
	if (s->shape == KUBE_WATCH && s->depth == 2 && s->wanted && c == '{')
		s->cut_depth = 2;
	else if (s->in_items && s->depth == 3 && c == '{')
		s->cut_depth = 3;
}

/* The bracket that opens what is cut out stays in the envelope, and so does the one that closes it. */
static int open_piece(struct kube_stream *s, char c, struct err *err)
{
	bool items = s->shape == KUBE_LIST && s->depth == 1 && s->wanted && c == '[';
	int code;

	if (s->in_items && s->depth == 2) {
		if (c != '{' || s->after_item)
			return err_set(err, EBADMSG, "broken list: %s", s->after_item ? "no comma between items" : "an item is no object");
		open_bracket(s, c);
		empty(&s->object);
		return keep(s, &c, 1, err);
	}
	code = keep(s, &c, 1, err);
	open_bracket(s, c);
	if (items) {
		s->in_items = true;
		s->after_item = false;
	}
	if (code == 0 && s->shape == KUBE_WATCH && s->cut_depth && s->depth == s->cut_depth) {
		empty(&s->object);
		code = keep(s, &c, 1, err);
	}
	return code;
}

static int close_envelope(struct kube_stream *s, const struct kube_stream_events *events, struct err *err)
{
	int code = events->envelope(events->arg, s->envelope.v, s->envelope.n, err);

	s->envelope.n = 0;
	s->ended = s->shape == KUBE_LIST;
	return code;
}

static int close_bracket(struct kube_stream *s, char c, const struct kube_stream_events *events, struct err *err)
{
	int code;

	if (s->in_items && s->depth == 2) /* it is ']': check_between */
		s->in_items = false;
	code = keep(s, &c, 1, err);
	if (code == 0 && s->cut_depth == s->depth) {
		s->cut_depth = 0;
		s->after_item = true;
		if (s->shape == KUBE_WATCH)
			code = keep(s, &c, 1, err);
		if (code == 0)
			code = events->object(events->arg, s->object.v, s->object.n, err);
	}
	s->depth--;
	s->wanted = s->wanted && s->depth != 1;
	if (code == 0 && s->depth == 0)
		code = close_envelope(s, events, err);
	return code;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Between objects, and between items, few characters may be. */
static int check_between(struct kube_stream *s, char c, struct err *err)
{
	if (is_space(c) || (s->in_items && s->depth == 2 && (c == ']' || c == '{' || c == '[')))
		return 0;
	if (s->in_items && s->depth == 2 && c == ',' && s->after_item) {
		s->after_item = false;
		return 0;
	}
	if (s->depth == 0 && c == '{' && !s->ended)
		return 0;
	if (s->depth == 0)
		return err_set(err, EBADMSG, "byte 0x%02x where %s was expected: is this an API server?", (unsigned char)c,
			       s->ended ? "nothing more" : "an object");
	return err_set(err, EBADMSG, "broken list: byte 0x%02x between items", (unsigned char)c);
}

static int take_byte(struct kube_stream *s, char c, const struct kube_stream_events *events, struct err *err)
{
	if (s->depth == 0 || (s->in_items && s->depth == 2)) {
		int code = check_between(s, c, err);

		if (code < 0 || is_space(c) || c == ',')
			return code;
	}
	switch (c) {
	case '{':
	case '[':
		return open_piece(s, c, err);
	case '}':
	case ']':
		return close_bracket(s, c, events, err);
	case '"':
		s->in_string = true;
		s->in_key = s->depth == 1 && s->at_key;
		s->key_len = 0;
		break;
	case ',':
	case ':':
		if (s->depth == 1) {
			s->at_key = c == ',';
			s->wanted = s->wanted && c == ':';
		}
		break;
	default:
		break;
	}
	return keep(s, &c, 1, err);
}

int kube_stream_feed(struct kube_stream *s, const char *bytes, size_t n, const struct kube_stream_events *events, struct err *err)
{
	int code = 0;

	for (size_t i = 0; i < n && code == 0;) {
		size_t run = pass_string(s, bytes + i, n - i);

		/* all that is neither a bracket nor outside of a piece goes in one copy */
		if (s->cut_depth && !s->in_string)
			while (i + run < n && !strchr("{}[]\"", bytes[i + run]))
				run++;
		if (run) {
			code = keep(s, bytes + i, run, err);
			i += run;
			continue;
		}
		code = take_byte(s, bytes[i], events, err);
		i++;
	}
	return code;
}
