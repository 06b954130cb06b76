#pragma once
/* The control socket: <data-dir>/control.sock, a UNIX stream socket of mode 0600. On it a detritusctl of the same user,
 * or root's, has the daemon do what operations.h lists: one request a line, one or more lines of answer. One thread
 * accepts, and each connection has a thread of its own, because its work waits for the disk; none of them is a network
 * loop. */

#include <sys/un.h>

#include "control/operations.h"
#include "control/rates.h"

#define CONTROL_SOCKET "control.sock"
#define CONTROL_CONNECTIONS_MAX 8 /* at once; one more gets an error and is closed */

struct control;

/* datadir_fd, operations and rates are borrowed. A connection that sends no request, or reads no answer, for longer
 * than the limits allow is closed. The caller holds the data directory's lock, so a socket that is there already was
 * left by a dead daemon, and is replaced. 0, or -errno with err. */
int control_new(int datadir_fd, const struct config_limits *limits, struct operations *operations, struct rates *rates,
                struct control **ret, struct error *err);
/* Removes the socket, lets running operations end between two steps, closes all connections. NULL-safe. */
struct control *control_free(struct control *c);

/* The socket's address, by way of an open directory, so that it fits however long the directory's path is. */
void control_address(int datadir_fd, struct sockaddr_un *ret);
