#pragma once
/* One HTTP/2 connection and the requests on it. Everything belongs to the thread that made it. */

#include <stdbool.h>

#include "body.h"
#include "load.h"

struct client;

/* Where a client gets its requests, and where it counts. */
struct client_owner {
        const struct load_run *run;
        struct load_counts *counts;
        const uint8_t *filler; /* for crash bodies */
        int epoll_fd;          /* it registers itself there, with itself as data.ptr */
        uint8_t *read_buffer;  /* of CLIENT_READ_BYTES, shared by the thread's clients */
};
#define CLIENT_READ_BYTES (256 * 1024)

/* Begins to connect. NULL on ENOMEM; a connection that fails is counted, and client_is_open() says so. */
struct client *client_new(const struct client_owner *owner);
struct client *client_free(struct client *c); /* what was not answered counts as failed */

bool client_is_open(const struct client *c);
bool client_has_room(const struct client *c); /* for one more request at once */
bool client_is_idle(const struct client *c);  /* it waits for no answer */

/* Queues a request whose latency counts from intended_ns; 0: from now, or from when its connection was begun if each
 * request has its own, which is made here. There must be room. */
void client_request(struct client *c, uint64_t request, uint64_t intended_ns);
/* Reads what came: answers make room. */
void client_read(struct client *c);
/* Writes what is queued, as far as the socket takes it. */
void client_write(struct client *c);
