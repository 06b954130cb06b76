#pragma once
/* One day's NDJSON file of one source, open for appending: logs/<project>/<install_id>/<YYYY-MM-DD>.ndjson below the
 * data directory. The fields are shared by the committer and its cache of files; all run on the committer's thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <uthash.h>

#include "protocol/source.h"
#include "storage/logs/log_committer.h"
#include "util/clock.h"

/* A sync failed: nothing may be acknowledged any more. It was logged where it happened. */
enum { LOG_FILE_BROKEN = 1 };

struct log_file {
        struct source source;
        char day[CLOCK_DAY_SIZE];
        int datadir_fd; /* borrowed */
        int fd;
        dev_t device; /* with the inode: which file it is */
        ino_t inode;
        uint64_t size;
        uint64_t looked_at; /* the committer's: the last group in which it looked whether the file is ours */
        int trouble;        /* the committer's: -errno while lines of a moved file cannot be brought back */
        bool displaced;     /* somebody else changed its size, and we found that out by writing to it */
        bool unnamed;       /* new: its name is not durable before its directories are synced */

        /* For the next note. */
        char platform[LOG_FILE_TEXT_SIZE];
        char version[LOG_FILE_TEXT_SIZE];
        uint64_t lines;    /* appended since the last note */
        uint64_t noted_ns; /* monotonic; 0: never */
        struct moment at;

        /* The committer's: batches of one append that wait to be written here, and the next file that has such. */
        struct log_batch *run_first, **run_last;
        struct log_file *run_next;

        /* The cache's. */
        char key[SOURCE_CANONICAL_SIZE];
        UT_hash_handle hh;
        struct log_file *lru_prev, *lru_next;         /* newest first */
        struct log_file *touched_prev, *touched_next; /* those written in this commit */
        struct log_file *dirty_prev, *dirty_next;     /* those with lines that only the journal has made durable */
        bool touched, dirty;
};

/* Opens the file, made with its directories when missing. An unterminated last line, left by a crash, is moved to
 * <file>.torn (and logged), so that a file always ends in a newline or is empty. 0 (f is filled, all else zero), -errno
 * or LOG_FILE_BROKEN. */
int log_file_open(struct log_file *f, int datadir_fd, const struct source *source, const char *day);
/* The same without moving a tail, nor making the file unless asked (-ENOENT), and for pwrite(2) at any place: for
 * recovery. */
int log_file_open_as_is(struct log_file *f, int datadir_fd, const struct source *source, const char *day, bool create);
/* Moves an unterminated last line to <file>.torn. 0, -errno or LOG_FILE_BROKEN. */
int log_file_repair_tail(struct log_file *f);
/* The same with everything from the line on that holds the byte at `hole`, when all of that lies at or after `known`;
 * else -ERANGE. */
int log_file_repair_hole(struct log_file *f, uint64_t hole, uint64_t known);
/* Just after the last newline before a place in a file; 0 when there is none. 0 or -errno. Any thread. */
int log_file_find_end(int fd, uint64_t before, uint64_t *ret_end);
/* False when the file's name is no longer that of the file that is open (removed, renamed, replaced; its directory,
 * too), or when somebody else has changed its size, now or before the last append. */
bool log_file_is_ours(const struct log_file *f);
/* Whether the open file has a name, the old one or another. */
bool log_file_has_a_name(const struct log_file *f);
void log_file_close(struct log_file *f); /* syncs nothing */
/* logs/<project>/<install_id>/<day>.ndjson */
#define LOG_FILE_PATH_SIZE 320
void log_file_path(const struct source *source, const char *day, char ret[LOG_FILE_PATH_SIZE]);

/* Appends the pieces in order; they are changed. *ret_at: where they begin. 0, or -errno: size says how much of them is
 * in the file, and the caller cuts. */
int log_file_append(struct log_file *f, struct iovec *iov, size_t n, uint64_t *ret_at);
/* Cuts the file back. 0 or -errno: it is as long as before. */
int log_file_cut(struct log_file *f, uint64_t size);
/* Makes the content, and a new file's name, durable. 0 or LOG_FILE_BROKEN. */
int log_file_sync(struct log_file *f);

/* Unlinks a day's files, open or not, as struct log_unlink says. 0, -ENOENT, -EBUSY or -errno. */
int log_file_unlink(int datadir_fd, const struct log_unlink *u);
