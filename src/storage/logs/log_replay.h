#pragma once
/* What the log journal holds, by log file: which lines were to begin where. log_recovery.c reads it after a crash,
 * log_settle.c while the daemon runs. No locks: one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "protocol/source.h"
#include "storage/logs/journal.h"
#include "util/buf.h"
#include "util/clock.h"

/* Lines of one file in one frame. */
struct log_replay_piece {
        unsigned slot; /* of the segment */
        uint64_t at;   /* where in it; bytes, like all here */
        uint64_t offset;
        size_t len;
        size_t at_place; /* so much of it later lines of a newer file of this name left where it was written */
};

struct log_replay_file {
        char key[SOURCE_CANONICAL_SIZE + CLOCK_DAY_SIZE]; /* "<project>/<install_id>/<day>" */
        struct source source;
        char day[CLOCK_DAY_SIZE];
        struct log_replay_piece *pieces; /* in the order of the commits */
        size_t n, cap;
        UT_hash_handle hh;
};

/* Zero-initialise. */
struct log_replay {
        int fds[JOURNAL_SEGMENTS];     /* of the segments that were read, by slot; borrowed */
        bool only_expected;            /* files that were not named by log_replay_expect() are passed over */
        struct log_replay_file *files; /* uthash */
        uint64_t frames, frames_damaged;
        uint64_t sequence; /* of the frame before */
        bool has_sequence;
};

/* The file's entry, made when missing. NULL: -ENOMEM. */
struct log_replay_file *log_replay_expect(struct log_replay *r, const struct source *source, const char *day);
/* Reads a live segment; the oldest generation first. *ret_damaged is set when there is a hole between its frames. 0 or
 * -errno. */
int log_replay_read(struct log_replay *r, unsigned slot, int fd, uint64_t generation, bool *ret_damaged);
/* Once everything is read: sets `at_place` in the pieces of a file. */
void log_replay_mark(struct log_replay_file *f);
/* Copies n bytes of a piece, beginning with byte number `from`. 0 or -errno. */
int log_replay_copy(const struct log_replay *r, const struct log_replay_piece *p, size_t from, void *ret, size_t n);
/* How long the line is that begins with byte number `from`. 0 or -errno. */
int log_replay_line(const struct log_replay *r, const struct log_replay_piece *p, size_t from, size_t *ret_len);
/* Appends n bytes of a piece. 0 or -errno. */
int log_replay_take(const struct log_replay *r, const struct log_replay_piece *p, size_t from, size_t n,
                    struct buf *lines);
/* How many bytes of whole lines, from byte number `from` on, are at their offsets in another file, whose first `limit`
 * bytes count. 0 or -errno. */
int log_replay_compare(const struct log_replay *r, const struct log_replay_piece *p, size_t from, int fd,
                       uint64_t limit, size_t *ret_same);
/* The same in the file that has the name, of which `size` bytes count. */
int log_replay_compare_named(const struct log_replay *r, const struct log_replay_piece *p, size_t from, int fd,
                             uint64_t size, size_t *ret_same);
void log_replay_done(struct log_replay *r);
