#pragma once
/* Listening sockets and accepting from them. Loop's thread, except listener_bind(). */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "net/loop.h"
#include "util/error.h"

/* Binds "ADDR:PORT" or "[ADDR6]:PORT" (literals) with SO_REUSEPORT, listening and non-blocking. Refuses an address that
 * another process already listens on, which SO_REUSEPORT alone would share silently; pass share for the second and
 * further sockets of one listener. 0 or -errno with words. */
int listener_bind(const char *address, bool share, int *ret_fd, struct error *err);

/* The bound address as "127.0.0.1:4317" or "[::1]:4317". 0 or -errno. */
#define LISTENER_ADDRESS_SIZE 64
int listener_address(int fd, char ret[LISTENER_ADDRESS_SIZE]);
void listener_format_peer(const struct sockaddr_storage *peer, char ret[LISTENER_ADDRESS_SIZE]);

/* fd is taken, non-blocking, close-on-exec; accepted takes it. */
typedef void (*listener_accepted)(void *userdata, int fd, const struct sockaddr_storage *peer);

struct listener;

/* Takes listen_fd. 0 or -errno. */
int listener_new(struct loop *l, int listen_fd, listener_accepted accepted, void *userdata, struct listener **ret);
struct listener *listener_free(struct listener *l); /* accepts what is already queued, then closes; NULL-safe */
DEFINE_FREEP(listener_free, struct listener)
