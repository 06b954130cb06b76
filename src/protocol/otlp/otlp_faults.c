/* A list, because most requests have none, and those that have some have few. It is in the order in which the scan
 * noticed them; a resource may come after its records, so it is sorted once, and searched afterwards. */

#include "protocol/otlp/otlp_faults.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t count(const struct otlp_faults *f)
{
        return f->list.len / sizeof(struct otlp_fault);
}

void otlp_faults_begin(struct otlp_faults *f, size_t max_bytes)
{
        buf_clear(&f->list);
        f->max_bytes = max_bytes;
        f->first.answer = ANSWER_OK;
        f->rejected = f->mended = 0;
        f->cut_bytes = 0;
}

void otlp_faults_done(struct otlp_faults *f)
{
        buf_done(&f->list);
}

int otlp_faults_add(struct otlp_faults *f, const uint8_t *at, size_t *ret_index, struct refusal *r)
{
        const struct otlp_fault fault = { .at = at };
        if (f->list.len + sizeof(fault) > f->max_bytes)
                return refuse(r, ANSWER_TOO_LARGE, "too much is wrong with the request");
        int e = buf_append(&f->list, &fault, sizeof(fault));
        if (e == 0)
                *ret_index = count(f) - 1;
        return e;
}

struct otlp_fault *otlp_faults_get(struct otlp_faults *f, size_t index)
{
        assert(index < count(f));
        return (struct otlp_fault *)(void *)f->list.data + index;
}

static int compare(const void *left, const void *right)
{
        const uint8_t *a = ((const struct otlp_fault *)left)->at, *b = ((const struct otlp_fault *)right)->at;
        return a < b ? -1 : a > b;
}

void otlp_faults_sort(struct otlp_faults *f)
{
        if (f->list.len > 0)
                qsort(f->list.data, count(f), sizeof(struct otlp_fault), compare);
}

struct otlp_fault otlp_faults_of(const struct otlp_faults *f, const uint8_t *at)
{
        struct otlp_fault key = { .at = at };
        const struct otlp_fault *found =
                f->list.len > 0 ? bsearch(&key, f->list.data, count(f), sizeof(key), compare) : NULL;
        return found ? *found : key;
}

void otlp_faults_reject(struct otlp_faults *f, unsigned records, const struct refusal *why)
{
        if (records > 0 && why && f->first.answer == ANSWER_OK)
                f->first = *why;
        f->rejected += records;
}

/* ---- the answer ---- */

/* ExportLogsPartialSuccess: rejected_log_records = 1, error_message = 2. OTLP: "rejected_log_records" 0 with a message
 * is a warning. */
int otlp_faults_response(const struct otlp_faults *f, struct buf *out)
{
        char message[sizeof(f->first.message)];
        uint8_t head[16];
        size_t n = 0;
        if (f->rejected == 0 && f->mended == 0)
                return 0;
        if (f->rejected > 0)
                snprintf(message, sizeof(message), "%s", f->first.message);
        else
                snprintf(message, sizeof(message),
                         "%u log records have text that is not UTF-8; it is stored with U+FFFD in its place",
                         f->mended);
        size_t len = strlen(message);
        if (f->rejected > 0) {
                head[n++] = 1 << 3;
                for (unsigned rest = f->rejected; rest > 0; rest >>= 7)
                        head[n++] = (uint8_t)((rest & 0x7F) | (rest > 0x7F ? 0x80 : 0));
        }
        head[n++] = 2 << 3 | 2;
        head[n++] = (uint8_t)(len & 0x7F) | 0x80; /* two bytes, whatever the length: at most 16,383 */
        head[n++] = (uint8_t)(len >> 7);
        size_t all = n + len;
        const uint8_t outer[] = { 1 << 3 | 2, (uint8_t)((all & 0x7F) | 0x80), (uint8_t)(all >> 7) };
        if (buf_append(out, outer, sizeof(outer)) < 0 || buf_append(out, head, n) < 0 ||
            buf_append(out, message, len) < 0)
                return -ENOMEM;
        return 0;
}
