/* SPDX-License-Identifier: Apache-2.0 */
/* moat-install: see moat-install(8). */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "install/install.h"
#include "moat/log.h"
#include "moat/privilege.h"

static int usage(FILE *out)
{
	fputs("Usage: moat-install run|check|preflight|uninstall|release [OPTION]...\n"
	      "\n"
	      "  run                     keep plugin and conflist installed, and follow what they are made of\n"
	      "  check                   is all of it in place?\n"
	      "  preflight               will it work on this node? Changes nothing; needs CAP_NET_ADMIN\n"
	      "  uninstall               remove conflist and plugin; running pods stay guarded\n"
	      "  release                 then take away all that guards pods; needs CAP_NET_ADMIN\n"
	      "\n"
	      "  --conf-dir DIR          network configurations of the container runtime (/etc/cni/net.d)\n"
	      "  --bin-dir DIR           its plugins (/opt/cni/bin)\n"
	      "  --plugin FILE           the plugin to install (moat, beside this program)\n"
	      "  --settings FILE         JSON object with the keys of the conflist's moat entry\n"
	      "  --accept-primary TYPE   chain to a primary of this type too; may be repeated\n"
	      "  --standalone            no primary: ptp, with the podCIDRs of this Node, which the daemon knows\n"
	      "  --hold                  uninstall, release: when done, stay until SIGTERM\n",
	      out);
	return out == stdout ? 0 : 2;
}

static const struct verb {
	const char *name;
	uint64_t capabilities;
	int (*run)(const struct install_options *options, struct err *err);
} verbs[] = {
	{"run", 0, install_follow},
	{"check", 0, install_check},
	{"preflight", PRIVILEGE(CAP_NET_ADMIN), install_preflight},
	{"uninstall", 0, install_remove},
	{"release", PRIVILEGE(CAP_NET_ADMIN), install_release},
};

static bool parse(int argc, char **argv, struct install_options *ret)
{
	static const struct option long_options[] = {
		{"conf-dir", required_argument, NULL, 'c'},	  {"bin-dir", required_argument, NULL, 'b'},
		{"plugin", required_argument, NULL, 'p'},	  {"settings", required_argument, NULL, 's'},
		{"accept-primary", required_argument, NULL, 'a'}, {"standalone", no_argument, NULL, 'S'},
		{"hold", no_argument, NULL, 'h'},		  {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'c': ret->conf_dir = optarg; break;
		case 'b': ret->bin_dir = optarg; break;
		case 'p': ret->plugin = optarg; break;
		case 's': ret->settings = optarg; break;
		case 'a': VEC_PUSH(&ret->accepted, optarg); break;
		case 'S': ret->standalone = true; break;
		case 'h': ret->hold = true; break;
		default: return false;
		}
	}
	return optind + 1 == argc;
}

static void hold(void)
{
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	log_info("holding until=SIGTERM");
	sigwait(&set, &got);
}

/* One sentence for whoever reads `kubectl describe`: probes and terminated containers show what was printed last. */
static int run(const struct verb *verb, const struct install_options *options)
{
	struct err err = {0};
	uint64_t missing;

	privilege_unbound();
	if (privilege_keep(verb->capabilities, &missing, &err) == 0 && missing)
		err_set(&err, EPERM, "CAP_NET_ADMIN is missing, in the user namespace that the node's network namespace belongs to");
	if (err.code || verb->run(options, &err) < 0) {
		fprintf(stderr, "moat-install %s: %s\n", verb->name, err.text);
		return 1;
	}
	if (options->hold)
		hold();
	return 0;
}

/* moat, beside this program. */
static char *plugin_beside(void)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self));
	const char *slash = len > 0 && (size_t)len < sizeof(self) ? memrchr(self, '/', (size_t)len) : NULL;

	return slash ? mem_printf("%.*s/" PLUGIN_NAME, (int)(slash - self), self) : mem_strdup("/" PLUGIN_NAME);
}

int main(int argc, char **argv)
{
	CLEAN_FREE char *beside = plugin_beside();
	struct install_options options = {.conf_dir = "/etc/cni/net.d", .bin_dir = "/opt/cni/bin", .plugin = beside};
	int code = -1;

	if (argc == 2 && !strcmp(argv[1], "--help"))
		return usage(stdout);
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	if (parse(argc, argv, &options))
		for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
			if (!strcmp(argv[optind], verbs[i].name))
				code = run(&verbs[i], &options);
	VEC_DONE(&options.accepted);
	return code < 0 ? usage(stderr) : code;
}
