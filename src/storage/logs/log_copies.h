#pragma once
/* Files beside a day's log file that may hold its lines: what logrotate renamed it to, or copied it to before emptying
 * it. Such files keep each line at its offset. One thread at a time; may block. */

#include "storage/logs/log_replay.h"

#define LOG_COPIES_MAX 16 /* that are looked at */

/* Zero-initialise. */
struct log_copies {
        int fds[LOG_COPIES_MAX];
        unsigned n;
};

/* Opens the regular files in the source's directory, but none that is named like a log file. What cannot be opened is
 * passed over. */
void log_copies_open(struct log_copies *c, int datadir_fd, const struct log_replay_file *file);
/* Adds one more file; the descriptor is duplicated. */
void log_copies_add(struct log_copies *c, int fd);
/* How many bytes of whole lines of the piece, from byte number `from` on, one of them has at their offsets. */
size_t log_copies_have(const struct log_copies *c, const struct log_replay *r, const struct log_replay_piece *p,
                       size_t from);
void log_copies_done(struct log_copies *c);
