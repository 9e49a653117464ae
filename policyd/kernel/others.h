/* SPDX-License-Identifier: Apache-2.0 */
/* Other enforcers of the node: looked for at start and each minute, told once when they come and go, and in status. */
#ifndef POLICYD_OTHERS_H
#define POLICYD_OTHERS_H

#include "moat/err.h"

struct other {
	char *who, *sign;
};

struct others {
	VEC(struct other) v;
};

void others_look(struct others *o);
void others_done(struct others *o);

#endif
