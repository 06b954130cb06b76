#pragma once
/* The network threads, each with an epoll loop, its connections, and listening sockets of its own. Made, started and
 * stopped by one thread, the server's; what the requests do is theirs (ingest/). */

#include <stddef.h>

#include "ingest/ingest.h"
#include "net/address_table.h"
#include "util/error.h"

struct network;

/* Prepares the threads, which do not run yet. ingest and addresses are borrowed. 0 or -errno. */
int network_new(struct ingest *ingest, struct address_table *addresses, struct network **ret);

/* On what the configuration names, or on listen_fd, which is taken, unless that is -1. 0, or -errno with err. */
int network_listen(struct network *n, int listen_fd, struct error *err);
/* "127.0.0.1:40123", the i-th listener; NULL past the last. Any thread, once it listens. */
const char *network_address(const struct network *n, size_t i);

/* 0 or -errno. */
int network_start(struct network *n);

/* Closes the listeners and waits for the end of every connection, limits.drain_timeout_secs at most. */
void network_drain(struct network *n);
/* Ends the threads that run, now. */
void network_abort(struct network *n);

/* No thread runs any more. Closes all connections; answers to their requests may still be posted. NULL-safe. */
void network_close(struct network *n);
/* Runs the answers that came last, to free their requests. NULL-safe. */
struct network *network_free(struct network *n);
