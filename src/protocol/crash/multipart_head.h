#pragma once
/* Header values of multipart/form-data: the request's Content-Type, and the header lines of one part. Pure. */

#include <stddef.h>

#include "protocol/crash/multipart.h"
#include "util/buf.h"

/* The boundary of a Content-Type value. The media type must be multipart/form-data (any case), else
 * ANSWER_MEDIA_TYPE; a boundary missing, over 70 bytes or not of RFC 2046's characters: ANSWER_MALFORMED
 * ("missing multipart boundary"). Quoted or bare. */
int multipart_head_boundary(const char *content_type, char ret[MULTIPART_BOUNDARY_MAX + 1], struct refusal *r);

/* head: complete lines, each ending in CRLF and none a continuation, without the empty one; number: the part's, for
 * messages. Works in place: *ret's strings point into head, which is NUL-terminated where they end; the file name is
 * made in *text (multipart_filename.h). 0, ANSWER_MALFORMED or -ENOMEM. */
int multipart_head_parse(char *head, size_t len, unsigned number, struct buf *text, struct multipart_part *ret,
                         struct refusal *r);
