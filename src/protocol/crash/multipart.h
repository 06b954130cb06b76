#pragma once
/* multipart/form-data, parsed as it streams: no part is ever held whole. Pure over bytes; not thread-safe.
 * Sources: RFC 7578, RFC 2046 §5.1. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/answer.h"
#include "util/cleanup.h"

#define MULTIPART_BOUNDARY_MAX 70 /* RFC 2046 §5.1.1 */

/* All valid UTF-8, without control characters (but HTAB in the last two). filename was made so. */
struct multipart_part {
        const char *name;             /* of Content-Disposition; never NULL, may be "" */
        const char *filename;         /* NULL when absent */
        const char *content_type;     /* NULL when absent */
        const char *content_encoding; /* NULL when absent */
};

/* Called as the body arrives. Strings live for the call only. Each returns 0, or anything else to stop the parser: then
 * multipart_write() returns that. */
struct multipart_events {
        int (*begin)(void *userdata, const struct multipart_part *part);
        int (*data)(void *userdata, const uint8_t *data, size_t len);
        int (*end)(void *userdata);
};

struct multipart_limits {
        size_t part_head_bytes; /* all header lines of one part */
        unsigned parts;         /* parts a body */
};

struct multipart;

/* boundary: 1 to 70 bytes without CR (else -EINVAL), copied. events and userdata must outlive the parser. 0 or
 * -ENOMEM. */
int multipart_new(const char *boundary, const struct multipart_limits *limits, const struct multipart_events *events,
                  void *userdata, struct multipart **ret);
struct multipart *multipart_free(struct multipart *m); /* NULL-safe */
DEFINE_FREEP(multipart_free, struct multipart)

/* The next bytes of the body, in pieces of any size. 0; ANSWER_MALFORMED (the message has the part's number and what
 * was expected); ANSWER_TOO_LARGE for the limits; -ENOMEM; or what an event returned. Bytes after the closing boundary
 * (the epilogue) are ignored. After any return but 0 only multipart_free() may follow. */
int multipart_write(struct multipart *m, const uint8_t *data, size_t len, struct refusal *r);

/* The body is over. ANSWER_MALFORMED unless the closing boundary was seen. */
int multipart_end(const struct multipart *m, struct refusal *r);
