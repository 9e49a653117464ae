/* SPDX-License-Identifier: Apache-2.0 */
/* moat-policyd: the policy daemon. Parses the command line, runs. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "moat/log.h"
#include "policyd/daemon.h"

static int usage(FILE *out)
{
	fputs("Usage: moat-policyd run [--kubeconfig FILE | --manifests DIR] [--conflist FILE] [--baseline FILE]\n"
	      "                        [--adopt=preview|enforce] [--node NAME] [--pod-ranges CIDR]... [--node-routes]\n"
	      "                        [--labels-may-loosen-to MODE]...\n"
	      "\n"
	      "  --kubeconfig FILE             follow the API server of FILE; without it, and in a pod, the\n"
	      "                                one that the pod's service account is for\n"
	      "  --manifests DIR               follow the YAML and JSON files of DIR\n"
	      "  --conflist FILE               follow mode, deny and tunnelPorts of its moat entry\n"
	      "  --baseline FILE               follow what FILE allows the pods of every namespace\n"
	      "  --adopt preview|enforce       pods that ran before moat did are held in preview until\n"
	      "                                moatctl enforce, the default, or enforced at once\n"
	      "  --node NAME                   name of this node in the API, instead of NODE_NAME of the\n"
	      "                                environment or the host's name in lower case\n"
	      "  --pod-ranges CIDR             where this node's pods have their addresses, instead of the\n"
	      "                                podCIDRs of its Node\n"
	      "  --node-routes                 route to the other nodes' pods, and masquerade what leaves the\n"
	      "                                cluster, as their Nodes say\n"
	      "  --labels-may-loosen-to MODE   let namespace labels moat.cni/mode loosen to MODE too;\n"
	      "                                without it they may only tighten\n",
	      out);
	return out == stdout ? 0 : 2;
}

static bool parse_mode_option(struct daemon_options *options, const char *text)
{
	enum mode mode;

	if (!mode_parse(text, &mode)) {
		fprintf(stderr, "moat-policyd: \"%s\" is none of strict, standard, preview, audit\n", TEXT(text));
		return false;
	}
	options->loosen[mode] = true;
	return true;
}

static bool parse_adopt_option(struct daemon_options *options, const char *text)
{
	options->adopt_enforces = !strcmp(text, "enforce");
	if (options->adopt_enforces || !strcmp(text, "preview"))
		return true;
	fprintf(stderr, "moat-policyd: --adopt: \"%s\" is neither preview nor enforce\n", TEXT(text));
	return false;
}

static bool parse_range_option(struct daemon_options *options, const char *text)
{
	struct block block;
	struct err err;

	if (addr_parse_block(text, &block, &err) < 0) {
		fprintf(stderr, "moat-policyd: --pod-ranges: %s\n", err.text);
		return false;
	}
	VEC_PUSH(&options->pod_ranges, block);
	return true;
}

/* Those whose values may be wrong. */
static bool parse_checked_option(struct daemon_options *options, int option, const char *text)
{
	switch (option) {
	case 'a':
		return parse_adopt_option(options, text);
	case 'r':
		return parse_range_option(options, text);
	case 'l':
		return parse_mode_option(options, text);
	default:
		return false;
	}
}

static bool parse(int argc, char **argv, struct daemon_options *ret)
{
	static const struct option long_options[] = {
		{"kubeconfig", required_argument, NULL, 'k'},
		{"manifests", required_argument, NULL, 'm'},
		{"conflist", required_argument, NULL, 'c'},
		{"baseline", required_argument, NULL, 'b'},
		{"adopt", required_argument, NULL, 'a'},
		{"node", required_argument, NULL, 'n'},
		{"pod-ranges", required_argument, NULL, 'r'},
		{"node-routes", no_argument, NULL, 'R'},
		{"labels-may-loosen-to", required_argument, NULL, 'l'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'm')
			ret->manifests = optarg;
		else if (option == 'k')
			ret->kubeconfig = optarg;
		else if (option == 'c')
			ret->conflist = optarg;
		else if (option == 'b')
			ret->baseline = optarg;
		else if (option == 'R')
			ret->node_routes = true;
		else if (option == 'n')
			ret->node = optarg;
		else if (!parse_checked_option(ret, option, optarg))
			return false;
	}
	if (optind + 1 != argc || strcmp(argv[optind], "run") != 0 || (ret->manifests && ret->kubeconfig))
		return false;
	if (!ret->manifests && !ret->kubeconfig && !kube_config_is_in_pod()) {
		fputs("moat-policyd: not in a pod with a service account: give --kubeconfig FILE or --manifests DIR\n\n", stderr);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct daemon_options options = {0};
	struct err err;
	int code;

	if (argc == 2 && !strcmp(argv[1], "--help"))
		return usage(stdout);
	if (!parse(argc, argv, &options))
		return usage(stderr);
	signal(SIGPIPE, SIG_IGN);
	code = daemon_run(&options, &err);
	if (code < 0)
		log_warn("not-started error=\"%s\"", err.text);
	VEC_DONE(&options.pod_ranges);
	return code < 0;
}
