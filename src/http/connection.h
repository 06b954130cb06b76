#pragma once
/* The connections of one loop: sockets, the choice between HTTP/1.1 and HTTP/2 by the first bytes, output, and time
 * limits. Loop's thread. The handler is the server's; nothing here knows a route. */

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "config/config.h"
#include "http/request.h"
#include "metrics/metrics.h"
#include "net/loop.h"

struct http_handler {
        /* The head of a request is complete: set r->ops and r->state, or answer. */
        void (*begin)(void *userdata, struct http_request *r);
        void *userdata;
};

struct connection_set_config {
        const struct config_limits *limits; /* borrowed, as is the rest */
        struct metrics *metrics;
        struct http_handler handler;
        struct address_table *addresses; /* shared by all loops: connections in all and by address */
};

struct connection_set;

/* 0 or -errno. */
int connection_set_new(struct loop *l, const struct connection_set_config *config, struct connection_set **ret);
/* Closes whatever is left, aborting its requests. NULL-safe. */
struct connection_set *connection_set_free(struct connection_set *s);
DEFINE_FREEP(connection_set_free, struct connection_set)

/* A listener_accepted: takes fd. Past the limits it is closed at once. */
void connection_set_accept(void *set, int fd, const struct sockaddr_storage *peer);

/* No new requests: HTTP/2 gets GOAWAY, idle connections close, the others close with their last answer, and one
 * that has not said anything yet has a second to say its one request. What is left after limits.drain_timeout_secs is
 * closed. empty() is called once, when no connection is left, which may be at once. */
void connection_set_drain(struct connection_set *s, void (*empty)(void *userdata), void *userdata);
