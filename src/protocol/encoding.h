#pragma once
/* The codings of bodies and messages that we can read. Pure. Sources: RFC 9110 §8.4.1, RFC 8878. */

#include <stddef.h>

enum encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_ZSTD, ENCODING_DEFLATE, ENCODING_UNKNOWN };

/* A Content-Encoding or grpc-encoding value, case-insensitive; "" and "identity" are identity, "x-gzip" is gzip.
 * "deflate" is the zlib format (RFC 9110 §8.4.1.2, RFC 1950), or the bare one that some senders mean by it. */
enum encoding encoding_from_name(const char *name, size_t len);
const char *encoding_name(enum encoding e);
