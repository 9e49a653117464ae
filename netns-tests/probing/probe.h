/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: the packets of the stories. One small program instead of ping, netcat, hping and iperf, so that every answer has
 * an exit code that tells a dropped packet from a refused and from an unreachable one.
 */
#ifndef NETNS_TESTS_PROBE_H
#define NETNS_TESTS_PROBE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Exit codes of tcp, sctp, udp and ping. The stories depend on the difference: a broken route must not look like a policy. */
enum outcome {
	PROBE_ANSWERED = 0,
	PROBE_DROPPED = 1,     /* silence until the timeout */
	PROBE_REFUSED = 2,     /* reset, or ICMP port unreachable */
	PROBE_UNREACHABLE = 3, /* no route, or ICMP admin-prohibited */
	PROBE_USAGE = 64,
};

struct endpoint {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

/* One file per group of modes; each gets argv from its own name on and returns the exit code. */
int probe_serve(int argc, char **argv);
int probe_tcp(int argc, char **argv);
int probe_sctp(int argc, char **argv);
int probe_udp(int argc, char **argv);
int probe_ping(int argc, char **argv);
int probe_hold(int argc, char **argv);
int probe_flood(int argc, char **argv);
int probe_count(int argc, char **argv);
int probe_bursts(int argc, char **argv);
int probe_ear(int argc, char **argv);
int probe_craft(int argc, char **argv);
int probe_capture(int argc, char **argv);
int probe_mroute(int argc, char **argv);
int probe_offload(int argc, char **argv);
int probe_links(int argc, char **argv);
int probe_first(int argc, char **argv);
int probe_leak_paths(int argc, char **argv);
int probe_leak_set(int argc, char **argv);
int probe_leak_opened(int argc, char **argv);
int probe_leak_send(int argc, char **argv);
int probe_leak_tap(int argc, char **argv);
int probe_leak_receive(int argc, char **argv);
int probe_leak_report(int argc, char **argv);
int probe_die_at(int argc, char **argv);
int probe_conntrack_fill(int argc, char **argv);

/* endpoint.c: exits with a message and PROBE_USAGE on bad text, 125 when a system call that cannot fail does. */
void probe_usage(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void probe_die(const char *what) __attribute__((noreturn));
unsigned long probe_number(const char *text, unsigned long max);
/* "10.1.0.11", "fd00:1::11", "fe80::1%eth0" */
struct endpoint probe_endpoint(const char *addr, const char *port);
void probe_print_addr(const struct sockaddr_in6 *from, char *out, size_t size); /* v4-mapped as IPv4 */

/* checksum.c: sums of 16-bit words, and what goes into the packet, in host order; */
uint32_t checksum_add(uint32_t sum, const void *data, size_t len);
uint16_t checksum_fold(uint32_t sum);
/* of an ICMP, TCP or UDP message whose checksum is 0. from and to NULL: no pseudo header (ICMP of IPv4). */
uint16_t probe_checksum(const struct endpoint *from, const struct endpoint *to, uint8_t protocol, const void *data, size_t len);

uint64_t probe_now_ms(void);
void probe_pause_us(unsigned us);
enum outcome probe_outcome(int error); /* errno or SO_ERROR of a connected socket */

/* SIGTERM and SIGINT end the modes that run until they are stopped; the system call they wait in returns EINTR. */
void probe_stop_on_signal(void);
bool probe_stopped(void);

#endif
