/* The small parts of gRPC: message prefix, timeout, percent-encoded message and status details. Input that cannot be
 * read returns a code of the header; -ENOMEM comes from output buffers only. */

#include "protocol/grpc.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "rpc_status.pb-c.h"

int grpc_read_prefix(const uint8_t prefix[GRPC_PREFIX_SIZE], bool *ret_compressed, uint32_t *ret_len)
{
        if (prefix[0] > 1)
                return GRPC_BAD_FLAG;
        *ret_compressed = prefix[0] == 1;
        *ret_len = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 | prefix[4];
        return 0;
}

void grpc_write_prefix(uint8_t prefix[GRPC_PREFIX_SIZE], uint32_t len)
{
        prefix[0] = 0;
        prefix[1] = (uint8_t)(len >> 24);
        prefix[2] = (uint8_t)(len >> 16);
        prefix[3] = (uint8_t)(len >> 8);
        prefix[4] = (uint8_t)len;
}

/* gRPC "Status-Message": Percent-Encoded over %x20-24 / %x26-7E. */
int grpc_encode_message(const char *message, struct buf *out)
{
        static const char digits[] = "0123456789ABCDEF";
        size_t len = strlen(message);
        if (len > SIZE_MAX / 3 || buf_reserve(out, 3 * len) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < len; i++) {
                uint8_t c = (uint8_t)message[i];
                if (c >= 0x20 && c <= 0x7E && c != '%') {
                        out->data[out->len++] = c;
                } else {
                        out->data[out->len++] = '%';
                        out->data[out->len++] = (uint8_t)digits[c >> 4];
                        out->data[out->len++] = (uint8_t)digits[c & 15];
                }
        }
        return 0;
}

static uint64_t timeout_unit_ns(char unit)
{
        switch (unit) {
        case 'H': return 3600 * UINT64_C(1000000000);
        case 'M': return 60 * UINT64_C(1000000000);
        case 'S': return UINT64_C(1000000000);
        case 'm': return 1000000;
        case 'u': return 1000;
        case 'n': return 1;
        default: return 0;
        }
}

/* gRPC "Timeout": 1*8DIGIT unit. 99,999,999 hours do not fit into 64 bits of nanoseconds, and count as for ever. */
int grpc_parse_timeout(const char *text, size_t len, uint64_t *ret_ns)
{
        uint64_t value = 0, ns;
        if (len < 2 || len > 9)
                return GRPC_BAD_TIMEOUT;
        for (size_t i = 0; i < len - 1; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return GRPC_BAD_TIMEOUT;
                value = value * 10 + (uint64_t)(text[i] - '0');
        }
        uint64_t unit = timeout_unit_ns(text[len - 1]);
        if (unit == 0)
                return GRPC_BAD_TIMEOUT;
        *ret_ns = __builtin_mul_overflow(value, unit, &ns) ? UINT64_MAX : ns;
        return 0;
}

/* Base64 without padding: gRPC "Binary-Header" values are sent unpadded. */
static int append_base64(struct buf *out, const uint8_t *data, size_t len)
{
        size_t room = (len + 2) / 3 * 4 + 1; /* EVP_EncodeBlock pads and adds a NUL */
        if (buf_reserve(out, room) < 0)
                return -ENOMEM;
        EVP_EncodeBlock(out->data + out->len, data, (int)len);
        out->len += (len * 8 + 5) / 6;
        return 0;
}

static Google__Rpc__Duration duration_of(unsigned ms)
{
        Google__Rpc__Duration d = GOOGLE__RPC__DURATION__INIT;
        d.seconds = ms / 1000;
        d.nanos = (int32_t)(ms % 1000 * 1000000);
        return d;
}

int grpc_encode_details(const struct refusal *r, struct buf *out)
{
        uint8_t packed_info[32];                         /* two tags, two lengths, a duration of at most 14 bytes */
        uint8_t packed_status[sizeof(r->message) + 128]; /* the message, a type URL, the above, tags and lengths */
        Google__Rpc__Duration delay = duration_of(r->retry_after_ms);
        Google__Rpc__RetryInfo info = GOOGLE__RPC__RETRY_INFO__INIT;
        Google__Rpc__Any any = GOOGLE__RPC__ANY__INIT, *details[] = { &any };
        Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;

        info.retry_delay = &delay;
        any.type_url = (char *)"type.googleapis.com/google.rpc.RetryInfo";
        any.value.len = google__rpc__retry_info__pack(&info, packed_info);
        any.value.data = packed_info;
        status.code = answer_grpc_code(r->answer);
        status.message = (char *)r->message;
        /* RESOURCE_EXHAUSTED with RetryInfo invites a retry (OTLP "Failures"), so only where a retry may help. */
        if (answer_is_retryable(r->answer)) {
                status.details = details;
                status.n_details = 1;
        }
        return append_base64(out, packed_status, google__rpc__status__pack(&status, packed_status));
}
