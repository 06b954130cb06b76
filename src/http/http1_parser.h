#pragma once
/* The bytes of an HTTP/1.1 connection become one request after the other: a head goes into the connection's struct
 * http_request, pieces of the body go to its handler. llhttp does the work; only this file's .c knows it. Loop's
 * thread; knows no socket. Sources: RFC 9112 §2, §3, §6, §7. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "http/request_internal.h"

#define HTTP1_FRAMING_BYTES 4096 /* chunk size lines with extensions, and trailers: between two pieces of a body */

struct http1_parser;

/* Both are borrowed. NULL on ENOMEM. */
struct http1_parser *http1_parser_new(struct http_request *request, const struct config_limits *limits);
struct http1_parser *http1_parser_free(struct http1_parser *p); /* NULL-safe */
DEFINE_FREEP(http1_parser_free, struct http1_parser)

/* A whole head, which http1_head_check() has passed, fills the request, which was reset. May change the bytes. 0,
 * HTTP1_PARSER_REFUSED, or -ENOMEM. */
enum { HTTP1_PARSER_REFUSED = 1 };
int http1_parser_head(struct http1_parser *p, uint8_t *head, size_t len, uint64_t now_ns);

/* Bytes after the head. Takes *ret_used of them: those after the end of the request are left. Codes as above. */
int http1_parser_body(struct http1_parser *p, const uint8_t *data, size_t len, uint64_t now_ns, size_t *ret_used);

/* The request's last byte was taken. */
bool http1_parser_is_complete(const struct http1_parser *p);

/* The client's version and connection field let another request follow. */
bool http1_parser_keeps_alive(const struct http1_parser *p);

/* After HTTP1_PARSER_REFUSED: what to answer. */
struct http1_refusal {
        int status;
        const char *reason;
};
struct http1_refusal http1_parser_refusal(const struct http1_parser *p);
