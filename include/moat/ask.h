/* SPDX-License-Identifier: Apache-2.0 */
/* A question to the daemon over its control socket, for programs that wait for the answer. */
#ifndef MOAT_ASK_H
#define MOAT_ASK_H

#include <cjson/cJSON.h>

#include "moat/err.h"

/* Takes the request over. The answer is the caller's; NULL: no daemon, none within 10 s, a stranger at the socket, or it refused. */
cJSON *ask_daemon(cJSON *request, struct err *err);

#endif
