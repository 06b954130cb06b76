/* A hostile segment of the log journal: reading ends, stays within the bytes, and yields only records that could be
 * written again as the same bytes. The input is read once as a whole frame and once as the payload of a frame with the
 * right checksum, because no fuzzer guesses checksums. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/logs/journal_frame.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        abort();                                                                                       \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(const struct journal_record *r, const struct journal_frame *frame)
{
        CHECK(r->kind == JOURNAL_APPEND || r->kind == JOURNAL_FORGET);
        CHECK(source_component_valid(r->source.project, strlen(r->source.project)));
        CHECK(source_component_valid(r->source.install_id, strlen(r->source.install_id)));
        CHECK(clock_is_day(r->day, strlen(r->day)));
        CHECK(r->data + r->len == frame->payload);
}

/* Every record that a frame yields, put together again, reads the same. */
static void read_frame(struct journal_frame frame)
{
        struct journal_builder b = { 0 };
        struct journal_record record, again;
        struct journal_frame copy;
        while (journal_frame_next(&frame, &record) == 0) {
                check_record(&record, &frame);
                journal_builder_reset(&b);
                CHECK(journal_builder_add(&b, &record) == 0);
                CHECK(journal_builder_finish(&b, 7, 8) == 0 && b.bytes.len % JOURNAL_BLOCK == 0);
                CHECK(journal_frame_read(b.bytes.data, b.bytes.len, 7, &copy) == 0 && copy.sequence == 8);
                CHECK(journal_frame_next(&copy, &again) == 0 && journal_frame_next(&copy, &again) == JOURNAL_NOT);
                CHECK(again.kind == record.kind && again.offset == record.offset && again.len == record.len);
                CHECK(memcmp(again.data, record.data, record.len) == 0);
                CHECK(journal_frame_read(b.bytes.data, b.bytes.len, 6, &copy) == JOURNAL_NOT);
        }
        buf_done(&b.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t block[JOURNAL_BLOCK] = { 0 };
        struct journal_segment head;
        struct journal_frame frame;
        memcpy(block, data, size < sizeof(block) ? size : sizeof(block));
        journal_segment_read(block, &head);
        if (journal_frame_read(data, size, 1, &frame) == 0)
                read_frame(frame);

        struct journal_builder b = { 0 };
        CHECK(buf_reserve(&b.bytes, JOURNAL_FRAME_HEAD_SIZE + size) == 0);
        memset(b.bytes.data, 0, JOURNAL_FRAME_HEAD_SIZE);
        memcpy(b.bytes.data + JOURNAL_FRAME_HEAD_SIZE, data, size);
        b.bytes.len = JOURNAL_FRAME_HEAD_SIZE + size;
        b.records = 1 + (size > 0 ? data[0] : 0u);
        CHECK(journal_builder_finish(&b, 1, 2) == 0);
        CHECK(journal_frame_read(b.bytes.data, b.bytes.len, 1, &frame) == 0 && frame.payload_len == size);
        read_frame(frame);
        buf_done(&b.bytes);
        return 0;
}
