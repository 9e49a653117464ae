/* SPDX-License-Identifier: Apache-2.0 */
/*
 * craft: packets of any shape, written as layers in words:
 *
 *	eth dst=02:00:00:00:00:01 / ip src=10.1.0.3 dst=10.1.0.4 hops=1 / udp dport=53 / token
 *
 * What a header says of those around it (type, protocol, length, checksum) is filled in, unless a key says otherwise: the
 * packets are wrong only where they are meant to be. `ip` and `echo` stand for those of the family that the
 * addresses have. `cut=N` of an IP header sends the packet in fragments of N bytes, a multiple of 8. The kinds of layers and
 * their keys are in link.c, network.c and transport.c.
 *
 * A packet that starts with eth is sent as it is; one that starts with IP takes the kernel's route, and the kernel fills in a source
 * 0.0.0.0. With --lines, lines of a number and a packet come on standard input, several packets to a number if ` ; ` stands
 * between them; the number is the token, by which `capture` knows the packet or whatever quotes it.
 */
#include "netns-tests/probing/craft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "netns-tests/probing/probe.h"

enum { WORDS_MAX = 256, LINE_MAX_ = 4096 };

struct craft {
	int link, v4, v6; /* sockets; -1: not open yet */
	unsigned ifindex;
	const char *dev;
	struct packet packet;
	struct virtio_net_hdr offload; /* --checksum-at */
	bool offloads;
	uint16_t wanted;
};

static const struct layer_kind *find_kind(const char *name)
{
	const struct {
		const struct layer_kind *kinds;
		size_t n;
	} all[] = { { link_kinds, n_link_kinds }, { network_kinds, n_network_kinds }, { transport_kinds, n_transport_kinds } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t j = 0; j < all[i].n; j++)
			if (!strcmp(all[i].kinds[j].name, name))
				return &all[i].kinds[j];
	return NULL;
}

static bool knows(const struct layer_kind *kind, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = kind->keys; (at = strstr(at, key)); at += len)
		if ((at == kind->keys || at[-1] == ' ') && at[len] == ' ')
			return true;
	return false;
}

static void add_key(struct layer *l, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	if (l->n_keys == KEYS_MAX || !knows(l->kind, word))
		probe_usage("craft: %s knows \"%s\", not %s", l->kind->name, l->kind->keys, word);
	l->keys[l->n_keys].name = word;
	l->keys[l->n_keys++].value = value ? value : "1";
}

/* ip: by the addresses behind it; echo: by the last IP header before it. */
static const char *of_family(const struct packet *p, const char *name, char **words, size_t n)
{
	if (!strcmp(name, "ip")) {
		for (size_t i = 0; i < n && strcmp(words[i], "/") != 0; i++)
			if (!strncmp(words[i], "dst=", 4))
				return strchr(words[i], ':') ? "ip6" : "ip4";
		probe_usage("craft: ip without dst is of no family");
	}
	if (!strcmp(name, "echo")) {
		for (size_t i = p->n_layers; i-- > 0;)
			if (!strncmp(p->layers[i].kind->name, "ip", 2))
				return p->layers[i].kind->name[2] == '4' ? "icmp4" : "icmp6";
	}
	return name;
}

static void parse(struct packet *p, char **words, size_t n)
{
	struct layer *l = NULL;

	p->n_layers = 0;
	for (size_t i = 0; i < n; i++) {
		const struct layer_kind *kind;

		if (!strcmp(words[i], "/")) {
			l = NULL;
			continue;
		}
		if (l) {
			add_key(l, words[i]);
			continue;
		}
		kind = find_kind(of_family(p, words[i], words + i + 1, n - i - 1));
		if (!kind || p->n_layers == LAYERS_MAX)
			probe_usage("craft: no layer is called %s, or there are more than %d", words[i], LAYERS_MAX);
		l = &p->layers[p->n_layers++];
		*l = (struct layer){ .kind = kind };
	}
	if (!p->n_layers)
		probe_usage("craft: a packet has at least one layer");
}

static void finish(struct packet *p, size_t first)
{
	for (size_t i = p->n_layers; i-- > first;)
		if (p->layers[i].kind->finish)
			p->layers[i].kind->finish(p, &p->layers[i]);
}

static void build(struct packet *p)
{
	p->len = 0;
	for (size_t i = 0; i < p->n_layers; i++) {
		struct layer *l = &p->layers[i];

		l->at = p->len;
		l->kind->build(p, l);
		l->header = p->len - l->at;
	}
	finish(p, 0);
}

static void send_link(struct craft *c, const uint8_t *data, size_t len)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)c->ifindex };
	struct iovec parts[2] = { { &c->offload, c->offloads ? sizeof(c->offload) : 0 }, { (void *)data, len } };
	struct msghdr m = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = parts, .msg_iovlen = 2 };

	if (sendmsg(c->link, &m, 0) < 0)
		probe_die("craft: send");
}

static void send_routed(struct craft *c, const uint8_t *data, size_t len)
{
	struct endpoint to = { .len = 0 };
	bool four = data[0] >> 4 == 4;
	int *fd = four ? &c->v4 : &c->v6;

	if (four) {
		to.v4.sin_family = AF_INET;
		memcpy(&to.v4.sin_addr, data + 16, 4);
		to.len = sizeof(to.v4);
	} else {
		to.v6.sin6_family = AF_INET6;
		memcpy(&to.v6.sin6_addr, data + 24, 16);
		to.v6.sin6_scope_id = c->ifindex;
		to.len = sizeof(to.v6);
	}
	if (*fd < 0)
		*fd = socket(four ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW);
	if (*fd < 0 || sendto(*fd, data, len, 0, &to.any, to.len) < 0)
		probe_die("craft: send");
}

static void send_bytes(struct craft *c, const uint8_t *data, size_t len)
{
	if (!strcmp(c->packet.layers[0].kind->name, "eth"))
		send_link(c, data, len);
	else
		send_routed(c, data, len);
}

/* The packet is whole; each piece gets the headers before the cut and a header of its own. */
static void send_pieces(struct craft *c, size_t cut, size_t step)
{
	static struct packet piece;
	const struct packet *p = &c->packet;
	const struct layer *ip = &p->layers[cut];
	bool six = !strcmp(ip->kind->name, "ip6");
	size_t head = ip->at + ip->header, rest = p->len - head;

	for (size_t at = 0; at < rest; at += step) {
		size_t n = rest - at < step ? rest - at : step;
		bool more = at + n < rest;

		piece = *p;
		piece.len = head;
		piece.n_layers = cut + 1;
		if (six) {
			uint8_t *frag = packet_append(&piece, NULL, 8);

			frag[0] = piece.bytes[ip->at + 6];
			piece.bytes[ip->at + 6] = IPPROTO_FRAGMENT;
			packet_put16(&piece, head + 2, (uint16_t)(at | more));
			packet_put16(&piece, head + 6, (uint16_t)(p->token + 1));
		} else {
			packet_put16(&piece, ip->at + 6, (uint16_t)(at / 8 | (more ? IP_MF : 0)));
		}
		packet_append(&piece, p->bytes + head + at, n);
		finish(&piece, 0);
		send_bytes(c, piece.bytes, piece.len);
	}
}

static void fill_for_checksum(struct craft *c)
{
	struct packet *p = &c->packet;
	uint16_t sum, from = c->offload.csum_start;
	size_t at;

	packet_append(p, NULL, (p->len - from) % 2);
	at = p->len;
	packet_append(p, NULL, 2);
	finish(p, 0);
	sum = (uint16_t)~checksum_fold(checksum_add(0, p->bytes + from, p->len - from));
	packet_put16(p, at, checksum_fold((uint32_t)sum + c->wanted));
}

static void send_packet(struct craft *c)
{
	const struct packet *p = &c->packet;

	if (c->offloads)
		fill_for_checksum(c);
	for (size_t i = 0; i < p->n_layers; i++) {
		unsigned long step = layer_number(&p->layers[i], "cut", 0, 1480);

		if (step) {
			if (step % 8)
				probe_usage("craft: cut=%lu is no multiple of 8", step);
			send_pieces(c, i, step);
			return;
		}
	}
	send_bytes(c, p->bytes, p->len);
}

static void craft_words(struct craft *c, char **words, size_t n, unsigned long count)
{
	size_t from = 0;

	for (size_t i = 0; i <= n; i++) {
		if (i < n && strcmp(words[i], ";") != 0)
			continue;
		parse(&c->packet, words + from, i - from);
		build(&c->packet);
		for (unsigned long k = 0; k < count; k++)
			send_packet(c);
		from = i + 1;
	}
}

/* The order of packets is that of one processor's queue. */
static void stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	sched_setaffinity(0, sizeof(here), &here);
}

static void craft_lines(struct craft *c)
{
	char line[LINE_MAX_];

	while (fgets(line, sizeof(line), stdin)) {
		char *words[WORDS_MAX], *rest = NULL;
		size_t n = 0;

		for (char *w = strtok_r(line, " \t\n", &rest); w && n < WORDS_MAX; w = strtok_r(NULL, " \t\n", &rest))
			words[n++] = w;
		if (!n)
			continue;
		c->packet.token = (uint32_t)probe_number(words[0], UINT32_MAX);
		craft_words(c, words + 1, n - 1, 1);
	}
}

/*
 * FROM:AT:VALUE: asks whoever sends the packet at last to write the checksum of the bytes from FROM on at AT, as any program on a
 * packet socket may. Two bytes are added to the packet so that the checksum is VALUE.
 */
static void ask_for_checksum(struct craft *c, const char *text)
{
	unsigned from, at, value;

	if (sscanf(text, "%u:%u:%x", &from, &at, &value) != 3 || at < from)
		probe_usage("craft: --checksum-at FROM:AT:VALUE, not %s", text);
	c->offload = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = (uint16_t)from,
					      .csum_offset = (uint16_t)(at - from) };
	c->wanted = (uint16_t)value;
	c->offloads = true;
}

static void open_link(struct craft *c)
{
	struct ifreq request = { .ifr_ifindex = 0 };

	c->ifindex = if_nametoindex(c->dev);
	c->link = socket(AF_PACKET, SOCK_RAW, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", c->dev);
	if (!c->ifindex || c->link < 0 || ioctl(c->link, SIOCGIFHWADDR, &request) < 0)
		probe_die(c->dev);
	memcpy(c->packet.own_mac, request.ifr_hwaddr.sa_data, 6);
}

int probe_craft(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dev", 1, NULL, 'd' },   { "gateway", 1, NULL, 'g' }, { "lines", 0, NULL, 'l' },
		{ "count", 1, NULL, 'c' }, { "token", 1, NULL, 't' },	{ "checksum-at", 1, NULL, 's' }, { NULL, 0, NULL, 0 },
	};
	static struct craft c = { .link = -1, .v4 = -1, .v6 = -1, .dev = "eth0" };
	unsigned long count = 1;
	bool lines = false;
	int option;

	memset(c.packet.gateway_mac, 0xff, 6);
	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (option) {
		case 'd': c.dev = optarg; break;
		case 'g':
			if (sscanf(optarg, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &c.packet.gateway_mac[0], &c.packet.gateway_mac[1],
				   &c.packet.gateway_mac[2], &c.packet.gateway_mac[3], &c.packet.gateway_mac[4],
				   &c.packet.gateway_mac[5]) != 6)
				probe_usage("craft: --gateway %s is no MAC address", optarg);
			break;
		case 'l': lines = true; break;
		case 'c': count = probe_number(optarg, 1000000); break;
		case 's': ask_for_checksum(&c, optarg); break;
		case 't': c.packet.token = (uint32_t)probe_number(optarg, UINT32_MAX); break;
		default: probe_usage("craft: unknown option");
		}
	}
	open_link(&c);
	if (c.offloads && setsockopt(c.link, SOL_PACKET, PACKET_VNET_HDR, &(int){ 1 }, sizeof(int)))
		probe_die("craft: PACKET_VNET_HDR");
	stay_here();
	if (lines)
		craft_lines(&c);
	else
		craft_words(&c, argv + optind, (size_t)(argc - optind), count);
	return 0;
}
