#pragma once
/* The file name of a part, made readable: no report is lost over it, whatever a client puts there. Pure. */

#include <stddef.h>

#include "util/buf.h"

/* Appends the name, NUL-terminated, as UTF-8: what is not UTF-8, control characters (but a tab becomes a space), line
 * separators and bidirectional controls become U+FFFD. 0 or -ENOMEM. */
int multipart_filename_mend(const char *name, size_t len, struct buf *out);

/* The same for a filename* value, in place: UTF-8''na%C3%AFve.log (RFC 8187; charsets UTF-8 and ISO-8859-1). An
 * escape that is none stays as it is. */
int multipart_filename_decode(char *value, size_t len, struct buf *out);
