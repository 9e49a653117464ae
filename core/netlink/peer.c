/* SPDX-License-Identifier: Apache-2.0 */
#include "moat/peer.h"

#include <sys/socket.h>
#include <unistd.h>

int peer_check(int fd, struct err *err)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);

	/* of a server they are of the time it began to listen, of a client of the time it connected */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_errno(err, errno, "who is at the other end of the control socket");
	if (peer.uid != 0 && peer.uid != geteuid())
		return err_set(err, EPERM, "process %d of user %u is at the other end of the control socket; expected root or user %u", (int)peer.pid,
			       peer.uid, geteuid());
	return 0;
}
