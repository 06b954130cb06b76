#pragma once
/* gRPC over HTTP/2: the length-prefixed message, the status in trailers, and details in google.rpc.Status. Pure.
 * Source: gRPC "PROTOCOL-HTTP2.md". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/answer.h"
#include "util/buf.h"

#define GRPC_PREFIX_SIZE 5 /* compressed flag, then length as 32-bit big-endian */

/* Reads a prefix. 0, or GRPC_BAD_FLAG when the flag is neither 0 nor 1. */
enum { GRPC_BAD_FLAG = 1 };
int grpc_read_prefix(const uint8_t prefix[GRPC_PREFIX_SIZE], bool *ret_compressed, uint32_t *ret_len);
void grpc_write_prefix(uint8_t prefix[GRPC_PREFIX_SIZE], uint32_t len);

/* grpc-message: UTF-8 percent-encoded; everything but 0x20..0x7E without '%' becomes %XX. 0 or -ENOMEM. */
int grpc_encode_message(const char *message, struct buf *out);

/* grpc-timeout: 1 to 8 digits and a unit of H M S m u n. 0, or GRPC_BAD_TIMEOUT. */
enum { GRPC_BAD_TIMEOUT = 1 };
int grpc_parse_timeout(const char *text, size_t len, uint64_t *ret_ns);

/* grpc-status-details-bin: google.rpc.Status with a google.rpc.RetryInfo of r->retry_after_ms, base64 without
 * padding. 0 or -ENOMEM. */
int grpc_encode_details(const struct refusal *r, struct buf *out);
