/* The CRC covers generation, sequence and lengths too, so a frame that reads well is one that was written whole, to
 * this place, in this use of the segment. Reading checks every length against what is there, since a checksum is no
 * proof against a file made by hand; names are checked as at the door, since they become paths. */
#include "storage/logs/journal_frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "util/files/crc32c.h"

#define SEGMENT_MAGIC "DETRITUS"
#define SEGMENT_VERSION 1
#define FRAME_MAGIC UINT32_C(0x4d524644) /* "DFRM" */
#define DAY_LEN (CLOCK_DAY_SIZE - 1)

struct segment_head {
        char magic[8];
        uint32_t version;
        uint32_t crc; /* of the rest */
        uint64_t generation;
        uint64_t live;
};

struct frame_head {
        uint32_t magic;
        uint32_t crc; /* of everything after it */
        uint64_t generation;
        uint64_t sequence;
        uint32_t payload_len;
        uint32_t records;
};
_Static_assert(sizeof(struct frame_head) == JOURNAL_FRAME_HEAD_SIZE, "no padding");

struct record_head {
        uint8_t kind, project_len, install_id_len, zero;
        uint32_t data_len;
        uint64_t offset;
        char day[DAY_LEN];
} __attribute__((packed));
_Static_assert(sizeof(struct record_head) + 2 * SOURCE_COMPONENT_MAX == JOURNAL_RECORD_MAX_HEAD, "as the header says");

static uint32_t segment_crc(const struct segment_head *head)
{
        struct segment_head h = *head;
        h.crc = 0;
        return crc32c(0, &h, sizeof(h));
}

void journal_segment_write(uint8_t block[JOURNAL_BLOCK], const struct journal_segment *s)
{
        struct segment_head h = {
                .version = htole32(SEGMENT_VERSION),
                .generation = htole64(s->generation),
                .live = htole64(s->live),
        };
        memcpy(h.magic, SEGMENT_MAGIC, sizeof(h.magic));
        h.crc = htole32(segment_crc(&h));
        memset(block, 0, JOURNAL_BLOCK);
        memcpy(block, &h, sizeof(h));
}

int journal_segment_read(const uint8_t block[JOURNAL_BLOCK], struct journal_segment *ret)
{
        struct segment_head h;
        memcpy(&h, block, sizeof(h));
        if (memcmp(h.magic, SEGMENT_MAGIC, sizeof(h.magic)) != 0 || le32toh(h.crc) != segment_crc(&h))
                return JOURNAL_NOT;
        if (le32toh(h.version) != SEGMENT_VERSION)
                return JOURNAL_NEWER;
        *ret = (struct journal_segment){ .generation = le64toh(h.generation), .live = h.live != 0 };
        return 0;
}

void journal_builder_reset(struct journal_builder *b)
{
        buf_clear(&b->bytes);
        b->records = 0;
        b->end = (struct journal_record){ 0 };
}

static bool goes_on(const struct journal_builder *b, const struct journal_record *r)
{
        return b->records > 0 && r->kind == JOURNAL_APPEND && b->end.kind == JOURNAL_APPEND &&
               r->offset == b->end.offset && strcmp(r->day, b->end.day) == 0 &&
               strcmp(r->source.install_id, b->end.source.install_id) == 0 &&
               strcmp(r->source.project, b->end.source.project) == 0;
}

static int add_head(struct journal_builder *b, const struct journal_record *r)
{
        size_t project_len = strlen(r->source.project), install_id_len = strlen(r->source.install_id);
        struct record_head head = {
                .kind = (uint8_t)r->kind,
                .project_len = (uint8_t)project_len,
                .install_id_len = (uint8_t)install_id_len,
                .offset = htole64(r->offset),
        };
        memcpy(head.day, r->day, DAY_LEN);
        if (b->records == 0)
                b->bytes.len = JOURNAL_FRAME_HEAD_SIZE; /* filled at the end */
        b->last = b->bytes.len;
        b->records++;
        buf_append(&b->bytes, &head, sizeof(head));
        buf_append(&b->bytes, r->source.project, project_len);
        return buf_append(&b->bytes, r->source.install_id, install_id_len);
}

int journal_builder_add(struct journal_builder *b, const struct journal_record *r)
{
        struct record_head head;
        int e = buf_reserve(&b->bytes, JOURNAL_FRAME_HEAD_SIZE + JOURNAL_RECORD_MAX_HEAD + r->len);
        if (e < 0)
                return e;
        if (!goes_on(b, r))
                add_head(b, r);
        memcpy(&head, b->bytes.data + b->last, sizeof(head));
        head.data_len = htole32(le32toh(head.data_len) + (uint32_t)r->len);
        memcpy(b->bytes.data + b->last, &head, sizeof(head));
        buf_append(&b->bytes, r->data, r->len);
        b->end = *r;
        b->end.offset += r->len;
        return 0;
}

int journal_builder_finish(struct journal_builder *b, uint64_t generation, uint64_t sequence)
{
        size_t crc_from = offsetof(struct frame_head, generation);
        size_t padding = (JOURNAL_BLOCK - b->bytes.len % JOURNAL_BLOCK) % JOURNAL_BLOCK;
        struct frame_head head = {
                .magic = htole32(FRAME_MAGIC),
                .generation = htole64(generation),
                .sequence = htole64(sequence),
                .payload_len = htole32((uint32_t)(b->bytes.len - JOURNAL_FRAME_HEAD_SIZE)),
                .records = htole32(b->records),
        };
        int e = buf_reserve(&b->bytes, padding);
        if (e < 0)
                return e;
        memcpy(b->bytes.data, &head, sizeof(head));
        head.crc = htole32(crc32c(0, b->bytes.data + crc_from, b->bytes.len - crc_from));
        memcpy(b->bytes.data, &head, sizeof(head));
        memset(b->bytes.data + b->bytes.len, 0, padding);
        b->bytes.len += padding;
        return 0;
}

int journal_frame_read(const uint8_t *data, size_t len, uint64_t generation, struct journal_frame *ret)
{
        const size_t crc_from = offsetof(struct frame_head, generation);
        struct frame_head head;
        if (len < sizeof(head))
                return JOURNAL_NOT;
        memcpy(&head, data, sizeof(head));
        size_t whole = sizeof(head) + le32toh(head.payload_len);
        if (le32toh(head.magic) != FRAME_MAGIC || le64toh(head.generation) != generation || whole > len ||
            crc32c(0, data + crc_from, whole - crc_from) != le32toh(head.crc))
                return JOURNAL_NOT;
        *ret = (struct journal_frame){
                .sequence = le64toh(head.sequence),
                .records = le32toh(head.records),
                .payload = data + sizeof(head),
                .payload_len = le32toh(head.payload_len),
                .size = (whole + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK,
        };
        return 0;
}

static bool take_name(struct journal_frame *f, size_t len, char ret[SOURCE_COMPONENT_MAX + 1])
{
        const char *name = (const char *)f->payload;
        if (!source_component_valid(name, len))
                return false;
        memcpy(ret, name, len);
        ret[len] = '\0';
        f->payload += len;
        f->payload_len -= len;
        return true;
}

int journal_frame_next(struct journal_frame *f, struct journal_record *ret)
{
        struct record_head head;
        struct journal_record r = { 0 };
        if (f->records == 0 || f->payload_len < sizeof(head))
                return JOURNAL_NOT;
        memcpy(&head, f->payload, sizeof(head));
        size_t data_len = le32toh(head.data_len), names = (size_t)head.project_len + head.install_id_len;
        if ((head.kind != JOURNAL_APPEND && head.kind != JOURNAL_FORGET) || !clock_is_day(head.day, DAY_LEN) ||
            names > f->payload_len - sizeof(head) || data_len > f->payload_len - sizeof(head) - names)
                return JOURNAL_NOT;
        f->payload += sizeof(head);
        f->payload_len -= sizeof(head);
        if (!take_name(f, head.project_len, r.source.project) ||
            !take_name(f, head.install_id_len, r.source.install_id))
                return JOURNAL_NOT;
        r.kind = head.kind;
        r.offset = le64toh(head.offset);
        r.data = f->payload;
        r.len = data_len;
        memcpy(r.day, head.day, DAY_LEN);
        f->payload += data_len;
        f->payload_len -= data_len;
        f->records--;
        *ret = r;
        return 0;
}
