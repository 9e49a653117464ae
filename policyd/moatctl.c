/* SPDX-License-Identifier: Apache-2.0 */
/* moatctl: asks the daemon over its control socket and shows the answer. */
#include <cjson/cJSON.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "moat/ask.h"
#include "moat/privilege.h"
#include "moat/text.h"

static int usage(FILE *out)
{
	fputs("Usage: moatctl status [--json]\n"
	      "       moatctl ready\n"
	      "       moatctl alive\n"
	      "       moatctl enforce NAMESPACE/POD | --all\n"
	      "       moatctl explain [--json] FROM TO PROTOCOL[/PORT]\n"
	      "\n"
	      "FROM and TO are namespace/pod, a pod of namespace default, or an address;\n"
	      "PROTOCOL is tcp, udp, sctp or icmp. Exit status of explain: 0 allowed, 1 denied, 2 error.\n",
	      out);
	return out == stdout ? 0 : 2;
}

static int fail(const struct err *err)
{
	fprintf(stderr, "moatctl: %s\n", err->text);
	return 2;
}

static void print_json(const cJSON *answer)
{
	CLEAN_FREE char *text = cJSON_PrintUnformatted(answer);

	puts(text ? text : "null");
}

static const char *text_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, key));

	return text ? text : "";
}

static double number_of(const cJSON *object, const char *key)
{
	const cJSON *number = cJSON_GetObjectItem(object, key);

	return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

static bool is_true(const cJSON *object, const char *key)
{
	return cJSON_IsTrue(cJSON_GetObjectItem(object, key));
}

static void print_messages(const cJSON *file, const char *key, const char *label)
{
	const cJSON *message;

	cJSON_ArrayForEach(message, cJSON_GetObjectItem(file, key))
		printf("    %s: %s\n", label, cJSON_GetStringValue(message));
}

static void print_manifests(const cJSON *status)
{
	const cJSON *manifests = cJSON_GetObjectItem(status, "manifests"), *file;

	printf("manifests  %s: %.0f objects in %.0f files%s\n", text_of(manifests, "directory"), number_of(manifests, "objects"),
	       number_of(manifests, "files"), is_true(status, "synced") ? "" : " (not synced: pods stay closed)");
	if (*text_of(manifests, "missing"))
		printf("  ! the directory cannot be read: %s; in force is what was read before\n", text_of(manifests, "missing"));
	if (number_of(manifests, "waiting") > 0)
		printf("  ! %.0f changed files wait for their turn: their namespaces have had their share of the daemon's time\n",
		       number_of(manifests, "waiting"));
	cJSON_ArrayForEach(file, cJSON_GetObjectItem(manifests, "troubled")) {
		printf("  ! %s: in force is %s\n", text_of(file, "file"), text_of(file, "inForce"));
		print_messages(file, "errors", "error");
		print_messages(file, "warnings", "warning");
	}
}

static void print_kube(const cJSON *status)
{
	const cJSON *kube = cJSON_GetObjectItem(status, "kube"), *kind, *object;
	CLEAN_FREE char *http = number_of(kube, "httpVersion") > 0 ? mem_printf(", HTTP/%.0f", number_of(kube, "httpVersion")) : mem_strdup("");

	printf("API server %s as %s%s%s\n", text_of(kube, "server"), text_of(kube, "credentials"), http,
	       is_true(status, "synced") ? "" : " (not synced: pods stay closed)");
	cJSON_ArrayForEach(kind, cJSON_GetObjectItem(kube, "kinds")) {
		printf("  %-34s %s, %.0f objects%s\n", text_of(kind, "resource"), text_of(kind, "state"), number_of(kind, "objects"),
		       is_true(kind, "needsList") && is_true(status, "synced") ? "; in force until a new list is complete" : "");
		if (number_of(kind, "waiting") > 0)
			printf("  ! %.0f changes wait for their turn: their namespaces have changed much\n", number_of(kind, "waiting"));
		if (*text_of(kind, "trouble"))
			printf("  ! %s\n", text_of(kind, "trouble"));
		cJSON_ArrayForEach(object, cJSON_GetObjectItem(kind, "unreadable"))
			printf("  ! %s: in force is %s\n    error: %s\n", text_of(object, "object"), text_of(object, "inForce"),
			       text_of(object, "error"));
	}
}

static void print_baseline(const cJSON *baseline)
{
	if (!baseline)
		return;
	printf("baseline   %s: %.0f rules; in force is %s\n", text_of(baseline, "file"), number_of(baseline, "rules"),
	       text_of(baseline, "inForce"));
	print_messages(baseline, "errors", "error");
	print_messages(baseline, "warnings", "warning");
	if (is_true(baseline, "apiserverUnknown"))
		printf("  ! it allows the API server, and no EndpointSlice of Service default/kubernetes says where that is\n");
}

static void print_kernel(const cJSON *status)
{
	const cJSON *kernel = cJSON_GetObjectItem(status, "kernel"), *packets = cJSON_GetObjectItem(kernel, "packets");

	printf("kernel     %s, ruleset %s; last change %.2f ms, slowest %.2f ms; %.0f connections revoked%s\n",
	       is_true(kernel, "upToDate") ? "up to date" : "NOT up to date",
	       text_of(kernel, "ruleset"), number_of(kernel, "lastMicroseconds") / 1000,
	       number_of(kernel, "maxMicroseconds") / 1000, number_of(kernel, "connectionsRevoked"),
	       is_true(kernel, "revoking") ? " so far, and it looks for others" : "");
	if (*text_of(kernel, "trouble"))
		printf("  ! %s\n", text_of(kernel, "trouble"));
	if (number_of(kernel, "pendingPods") > 0)
		printf("  ! %.0f pods have not got their policy yet: the kernel has other chains than the pod store says\n",
		       number_of(kernel, "pendingPods"));
	if (number_of(kernel, "doubledAddresses") > 0)
		printf("  ! %.0f addresses are claimed by more than one pod\n", number_of(kernel, "doubledAddresses"));
	printf("packets    denied: %.0f ingress, %.0f egress; observed: %.0f ingress, %.0f egress; lost: %.0f\n",
	       number_of(packets, "deny_ingress") + number_of(packets, "reject_ingress"),
	       number_of(packets, "deny_egress") + number_of(packets, "reject_egress"), number_of(packets, "observe_ingress"),
	       number_of(packets, "observe_egress"), number_of(packets, "lost"));
}

static void print_addresses(const cJSON *pod)
{
	const cJSON *addr;

	cJSON_ArrayForEach(addr, cJSON_GetObjectItem(pod, "addresses"))
		printf(" %s", cJSON_GetStringValue(addr));
}

static void print_escapes(const cJSON *status)
{
	const cJSON *escape;

	cJSON_ArrayForEach(escape, cJSON_GetObjectItem(status, "escapes")) {
		printf("  ! %s/%s", text_of(escape, "namespace"), text_of(escape, "pod"));
		print_addresses(escape);
		printf(": escaped; it runs here without an attachment, and nothing is known to guard it: delete it, it comes back closed\n");
		if (*text_of(escape, "notAdopted"))
			printf("    not adopted: %s\n", text_of(escape, "notAdopted"));
	}
}

static void print_window(const cJSON *status)
{
	const cJSON *w = cJSON_GetObjectItem(status, "denyWindow");

	if (number_of(w, "inPlace") + number_of(w, "late") + number_of(w, "waiting") < 1)
		return;
	printf("deny window  %.0f pods started with their policy in place", number_of(w, "inPlace"));
	if (number_of(w, "late") > 0)
		printf(", %.0f later: after %.2f ms in the median, p99 %.2f ms, at most %.2f ms", number_of(w, "late"),
		       number_of(w, "medianMicroseconds") / 1000, number_of(w, "p99Microseconds") / 1000,
		       number_of(w, "maxMicroseconds") / 1000);
	printf("; %.0f wait\n", number_of(w, "waiting"));
}

static void print_others(const cJSON *status)
{
	const cJSON *other;

	cJSON_ArrayForEach(other, cJSON_GetObjectItem(status, "otherEnforcers")) {
		if (*text_of(other, "who"))
			printf("others     %s enforces policies here too (%s)\n", text_of(other, "who"), text_of(other, "sign"));
		else
			printf("others     %s\n", text_of(other, "sign"));
	}
}

static void print_ranges(const cJSON *status)
{
	const cJSON *p = cJSON_GetObjectItem(status, "podRanges"), *ranges = cJSON_GetObjectItem(p, "ranges"), *range;
	const cJSON *packets = cJSON_GetObjectItem(cJSON_GetObjectItem(status, "kernel"), "packets");

	if (!cJSON_GetArraySize(ranges))
		return;
	printf("pod ranges");
	cJSON_ArrayForEach(range, ranges)
		printf(" %s", cJSON_GetStringValue(range));
	printf(" (%s): addresses that are not guarded: %.0f packets lost, %.0f counted\n", text_of(p, "source"),
	       number_of(packets, "unguarded"), number_of(packets, "unguarded_observed"));
	if (*text_of(p, "why"))
		printf("    only counted, since %s\n", text_of(p, "why"));
}

static void print_tampering(const cJSON *status)
{
	const cJSON *t = cJSON_GetObjectItem(status, "tampering");
	double by_event = number_of(t, "foundByEvent"), by_check = number_of(t, "foundByCheck");

	if (by_event > 0)
		printf("tampering  put right %.0f times; exposed for %.2f ms in the median, %.2f ms at most\n", by_event,
		       number_of(t, "exposedMedianMicroseconds") / 1000, number_of(t, "exposedMaxMicroseconds") / 1000);
	if (by_check > 0)
		printf("tampering  found %.0f times by a check only; unnoticed for %.2f ms at most\n", by_check,
		       number_of(t, "unnoticedMaxMicroseconds") / 1000);
	if (*text_of(t, "last"))
		printf("    last: %s\n", text_of(t, "last"));
	if (*text_of(t, "underWay"))
		printf("  ! not put right yet: %s\n", text_of(t, "underWay"));
}

static void print_pods(const cJSON *status)
{
	const cJSON *pods = cJSON_GetObjectItem(status, "pods"), *pod, *unreadable;
	int adopted = 0;
	bool named_node = *text_of(status, "node");

	cJSON_ArrayForEach(pod, pods)
		adopted += *text_of(pod, "adopted") != '\0';
	printf("pods       %d attached, %d adopted on node %s\n", cJSON_GetArraySize(pods) - adopted, adopted,
	       named_node ? text_of(status, "node") : "(name not known: no escape can be told; use --node)");
	cJSON_ArrayForEach(pod, pods) {
		const char *ns = text_of(pod, "namespace");
		bool named = *text_of(pod, "pod");

		printf("  %s%s%s on %s", ns, *ns && named ? "/" : "", named ? text_of(pod, "pod") : text_of(pod, "attachment"),
		       text_of(pod, "port"));
		print_addresses(pod);
		printf("\n    mode %s%s, %s; ingress: %s; egress: %s%s\n", text_of(pod, "mode"),
		       is_true(pod, "labelIgnored") ? " (the namespace's moat.cni/mode label is ignored)" : "", text_of(pod, "state"),
		       text_of(pod, "ingress"), text_of(pod, "egress"),
		       is_true(pod, "byNameOnly") ? "; identified by name only, no UID to compare" : "");
		if (*text_of(pod, "adopted"))
			printf("    adopted: it ran before moat did%s\n", strcmp(text_of(pod, "adopted"), "held") != 0 ? ", and is enforced" :
				"; held in this mode until it is made anew, or moatctl enforce");
		if (*text_of(pod, "trouble"))
			printf("  ! %s\n", text_of(pod, "trouble"));
		if (*text_of(pod, "excess"))
			printf("  ! excess: %s\n", text_of(pod, "excess"));
	}
	print_escapes(status);
	cJSON_ArrayForEach(unreadable, cJSON_GetObjectItem(status, "unreadable"))
		printf("  ! %s\n", cJSON_GetStringValue(unreadable));
	cJSON_ArrayForEach(unreadable, cJSON_GetObjectItem(status, "strays"))
		printf("  ! %s\n", cJSON_GetStringValue(unreadable));
}

static int status_command(bool json)
{
	cJSON *request = cJSON_CreateObject(), *status;
	struct err err;
	bool well;

	cJSON_AddStringToObject(request, "op", "status");
	status = ask_daemon(request, &err);
	if (!status)
		return fail(&err);
	if (json) {
		print_json(status);
	} else {
		const cJSON *conflist = cJSON_GetObjectItem(status, "conflist");

		if (cJSON_GetObjectItem(status, "kube"))
			print_kube(status);
		else
			print_manifests(status);
		if (conflist)
			printf("conflist   %s%s%s\n", text_of(conflist, "file"), *text_of(conflist, "trouble") ? "\n  ! " : "",
			       text_of(conflist, "trouble"));
		print_baseline(cJSON_GetObjectItem(status, "baseline"));
		print_kernel(status);
		print_ranges(status);
		print_tampering(status);
		print_window(status);
		print_others(status);
		print_pods(status);
	}
	well = is_true(status, "synced") && is_true(cJSON_GetObjectItem(status, "kernel"), "upToDate") &&
	       !cJSON_GetArraySize(cJSON_GetObjectItem(status, "escapes"));
	cJSON_Delete(status);
	return well ? 0 : 1;
}

/* For probes: what an administrator must look at (an escape) does not make a daemon less ready. */
static int probe_command(bool ready)
{
	cJSON *request = cJSON_CreateObject(), *status;
	const char *why = NULL;
	struct err err;

	cJSON_AddStringToObject(request, "op", "status");
	status = ask_daemon(request, &err);
	if (!status)
		return fail(&err);
	if (ready && !is_true(status, "synced"))
		why = "not every source was read yet";
	else if (ready && !is_true(cJSON_GetObjectItem(status, "kernel"), "upToDate"))
		why = "the kernel has not got it yet";
	if (why)
		printf("not ready: %s\n", why);
	cJSON_Delete(status);
	return why ? 1 : 0;
}

static int explain_command(bool json, char **args)
{
	cJSON *request = cJSON_CreateObject(), *answer;
	char *slash = strchr(args[2], '/');
	struct err err;
	bool denied;

	if (slash)
		*slash++ = '\0';
	cJSON_AddStringToObject(request, "op", "explain");
	cJSON_AddStringToObject(request, "from", args[0]);
	cJSON_AddStringToObject(request, "to", args[1]);
	cJSON_AddStringToObject(request, "protocol", args[2]);
	if (slash && *slash && strspn(slash, "0123456789") == strlen(slash)) /* else the daemon asks for one */
		cJSON_AddNumberToObject(request, "port", strtod(slash, NULL));
	answer = ask_daemon(request, &err);
	if (!answer)
		return fail(&err);
	if (json)
		print_json(answer);
	else
		fputs(text_of(answer, "text"), stdout);
	denied = !strcmp(text_of(answer, "verdict"), "denied");
	cJSON_Delete(answer);
	return denied ? 1 : 0;
}

static int enforce_command(const char *which)
{
	cJSON *request = cJSON_CreateObject(), *answer;
	struct err err;

	cJSON_AddStringToObject(request, "op", "enforce");
	if (!strcmp(which, "--all"))
		cJSON_AddBoolToObject(request, "all", true);
	else
		cJSON_AddStringToObject(request, "pod", which);
	answer = ask_daemon(request, &err);
	if (!answer)
		return fail(&err);
	printf("%.0f adopted pods are enforced\n", number_of(answer, "enforced"));
	cJSON_Delete(answer);
	return 0;
}

static int command(int argc, char **argv)
{
	bool json = false;
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = true;
		else
			argv[n++] = argv[i];
	}
	if (n == 1 && !strcmp(argv[0], "--help"))
		return usage(stdout);
	if (n == 1 && !strcmp(argv[0], "status"))
		return status_command(json);
	if (n == 1 && (!strcmp(argv[0], "ready") || !strcmp(argv[0], "alive")))
		return probe_command(!strcmp(argv[0], "ready"));
	if (n == 2 && !strcmp(argv[0], "enforce"))
		return enforce_command(argv[1]);
	if (n == 4 && !strcmp(argv[0], "explain"))
		return explain_command(json, argv + 1);
	return usage(stderr);
}

/* Who reads half of the answer only (`moatctl status | head -n 1`) is told so by a message, and by the exit status. */
int main(int argc, char **argv)
{
	struct err err;
	int code;

	privilege_unbound();
	if (privilege_keep(0, NULL, &err) < 0)
		return fail(&err);
	signal(SIGPIPE, SIG_IGN);
	code = command(argc, argv);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	err_errno(&err, errno, "the answer cannot be written");
	return fail(&err);
}
