#pragma once
/* The bytes of the log journal: segments of frames of records. Pure functions, any thread.
 *
 * A segment is a head of one block, then frames, each beginning on a block of its own, so that a block that holds
 * acknowledged lines is never written again while it counts. All numbers are little-endian.
 *
 *     segment head   "DETRITUS", u32 version, u32 CRC-32C of the rest, u64 generation, u64 live (1, or 0: free)
 *     frame head     u32 magic, u32 CRC-32C of the rest, up to the payload's end, u64 generation, u64 sequence,
 *                    u32 payload bytes, u32 records
 *     record         u8 kind, u8 project bytes, u8 install_id bytes, u8 0, u32 data bytes, u64 offset, day[10],
 *                    project, install_id, data
 *
 * A frame belongs to its segment only while the generations agree: what an earlier use of the file left is not a
 * frame. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/source.h"
#include "util/buf.h"
#include "util/clock.h"

#define JOURNAL_BLOCK 4096
#define JOURNAL_FRAME_HEAD_SIZE 32
#define JOURNAL_RECORD_MAX_HEAD (26 + 2 * SOURCE_COMPONENT_MAX) /* a record without its data, at most */

enum journal_kind {
        JOURNAL_APPEND = 1, /* the file, cut to `offset`, went on with `data` */
        JOURNAL_FORGET,     /* the file was removed: nothing before this is to be brought back */
};

struct journal_record {
        enum journal_kind kind;
        struct source source;
        char day[CLOCK_DAY_SIZE];
        uint64_t offset;
        const uint8_t *data; /* whole lines; borrowed */
        size_t len;
};

/* JOURNAL_NOT: the bytes are not what was asked for. JOURNAL_NEWER: a later version wrote them. */
enum { JOURNAL_NOT = 1, JOURNAL_NEWER };

/* Live: its frames are to be brought back. Free: they are not, and the generation is that of its last use. */
struct journal_segment {
        uint64_t generation;
        bool live;
};

void journal_segment_write(uint8_t block[JOURNAL_BLOCK], const struct journal_segment *s);
/* 0, JOURNAL_NOT or JOURNAL_NEWER. */
int journal_segment_read(const uint8_t block[JOURNAL_BLOCK], struct journal_segment *ret);

/* A frame being put together: zero-initialise; buf_done() its bytes. */
struct journal_builder {
        struct buf bytes;
        uint32_t records;
        size_t last;               /* where the last record begins */
        struct journal_record end; /* what would continue it; its data is not used */
};

/* Starts afresh, keeping the memory. */
void journal_builder_reset(struct journal_builder *b);
/* Adds a record; lines that go on where the last record of the same file ended become part of it. 0 or -ENOMEM. */
int journal_builder_add(struct journal_builder *b, const struct journal_record *r);
/* Writes the head and pads with zeros to whole blocks: bytes are ready for the disk. 0 or -ENOMEM. */
int journal_builder_finish(struct journal_builder *b, uint64_t generation, uint64_t sequence);

/* A frame found in memory; payload points into it. */
struct journal_frame {
        uint64_t sequence;
        uint32_t records;
        const uint8_t *payload;
        size_t payload_len;
        size_t size; /* with its head and padding */
};

/* Is there a whole frame of this generation at data? 0 or JOURNAL_NOT. */
int journal_frame_read(const uint8_t *data, size_t len, uint64_t generation, struct journal_frame *ret);
/* Takes the next record off the frame; its data stays borrowed. 0; JOURNAL_NOT: no further one (frame->records is 0
 * then), or one that no writer of this version made. */
int journal_frame_next(struct journal_frame *frame, struct journal_record *ret);
