/* Unpacks scanned bytes with protobuf-c into an arena. Freeing is nothing, the arena goes as a whole, except for
 * protobuf-c's own scratch: a message of more than 16 fields costs a slab of 1 KiB or more, given back when the message
 * is done. Those are kept for the next message, else 65,536 ordinary records would fill the arena with scratch alone.
 *
 * Every allocation has a NUL behind it, so that a `bytes` field can be read as a C string (otlp_source).
 *
 * Failures: ANSWER_TOO_LARGE when the arena's ceiling was met, -ENOMEM, ANSWER_MALFORMED for the rest, which otlp_scan()
 * leaves none of. */

#include "protocol/otlp.h"

#include <errno.h>

#include "protocol/otlp_messages.h"

#define SLAB_BYTES_MIN ((size_t)1024) /* protobuf-c: 32 bytes for each of 32, 64, 128, ... fields */
#define SLABS_MAX 24

struct slab {
        void *at;
        size_t size;
        bool in_use;
};

struct decoder {
        struct arena *arena;
        bool failed; /* an allocation */
        unsigned slab_count;
        struct slab slabs[SLABS_MAX];
};

static void *reuse_slab(struct decoder *d, size_t size)
{
        for (unsigned i = 0; i < d->slab_count; i++) {
                if (d->slabs[i].size == size && !d->slabs[i].in_use) {
                        d->slabs[i].in_use = true;
                        return d->slabs[i].at;
                }
        }
        return NULL;
}

static void *decoder_alloc(void *userdata, size_t size)
{
        struct decoder *d = userdata;
        bool slab = size >= SLAB_BYTES_MIN && (size & (size - 1)) == 0;
        char *p = slab ? reuse_slab(d, size) : NULL;
        if (p)
                return p;
        p = size < SIZE_MAX ? arena_alloc(d->arena, size + 1) : NULL;
        if (!p) {
                d->failed = true;
                return NULL;
        }
        p[size] = '\0';
        if (slab && d->slab_count < SLABS_MAX)
                d->slabs[d->slab_count++] = (struct slab){ p, size, true };
        return p;
}

static void decoder_release(void *userdata, void *p)
{
        struct decoder *d = userdata;
        for (unsigned i = 0; i < d->slab_count; i++) {
                if (d->slabs[i].at == p)
                        d->slabs[i].in_use = false;
        }
}

int otlp_decode(struct arena *arena, const uint8_t *data, size_t len, OtlpRequest **ret, struct refusal *r)
{
        struct decoder d = { .arena = arena };
        ProtobufCAllocator allocator = { decoder_alloc, decoder_release, &d };
        OtlpRequest *request =
                opentelemetry__proto__collector__logs__v1__export_logs_service_request__unpack(&allocator, len, data);
        if (!request && d.failed && !arena_is_full(arena))
                return -ENOMEM;
        if (!request)
                return d.failed ? refuse(r, ANSWER_TOO_LARGE, "request needs too much memory to decode")
                                : refuse(r, ANSWER_MALFORMED, "request is not an ExportLogsServiceRequest");
        *ret = request;
        return 0;
}

size_t otlp_resource_count(const OtlpRequest *request)
{
        return request->n_resource_logs;
}

const OtlpResourceLogs *otlp_resource(const OtlpRequest *request, size_t i)
{
        return request->resource_logs[i];
}

size_t otlp_record_count(const OtlpResourceLogs *logs)
{
        size_t n = 0;
        for (size_t i = 0; i < logs->n_scope_logs; i++)
                n += logs->scope_logs[i]->n_log_records;
        return n;
}
