#pragma once
/* One HTTP/2 connection (prior knowledge, no TLS) for a few requests, one after the other. It blocks, for at most the
 * deadline. */

#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"

struct send_client;

/* address: "ADDR:PORT", "[ADDR6]:PORT". 0 or -errno with words. */
int send_client_new(const char *address, unsigned deadline_secs, struct send_client **ret, struct error *err);
struct send_client *send_client_free(struct send_client *c); /* NULL-safe */
DEFINE_FREEP(send_client_free, struct send_client)

struct send_answer {
        int http_status;   /* 0: there was none */
        int grpc_status;   /* -1: there was none */
        char message[256]; /* grpc-message, else the beginning of the body */
};

/* POSTs; the fields are those beside the pseudo-headers. 0 (an answer came, good or bad), or -errno with words. */
int send_client_post(struct send_client *c, const char *path, const nghttp2_nv *fields, size_t n_fields,
                     const void *body, size_t len, struct send_answer *ret, struct error *err);

nghttp2_nv send_client_field(const char *name, const char *value); /* borrows both */
