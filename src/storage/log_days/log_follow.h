#pragma once
/* The newest lines, and then new ones as they arrive: `logs tail`. Goes on where it stopped when a day ends and when a
 * file is compressed. New sources are followed from their first line. No file is open between calls. One thread.
 * Memory: 300 bytes for each source, and twice the lines asked for. */

#include "storage/log_days/log_query.h"

#define LOG_FOLLOW_POLL_MS 250 /* between two calls of log_follow_more(); the caller waits */
#define LOG_FOLLOW_SCAN_SECS 2 /* between two searches for new sources */
#define LOG_FOLLOW_LAST_MAX 100000

struct log_follow;

/* f and its strings are borrowed. 0 or -errno. */
int log_follow_new(int datadir_fd, const struct log_filter *f, struct log_follow **ret);
struct log_follow *log_follow_free(struct log_follow *w); /* NULL-safe */
DEFINE_FREEP(log_follow_free, struct log_follow)

/* Called once, first: the n newest lines that match, those of one source in their order, those of several by time.
 * Reads the files backwards from their ends, no more of them than needed. 0, what cb returned, or -errno. */
int log_follow_last(struct log_follow *w, size_t n, log_line_cb cb, log_broken_cb broken, void *userdata);

/* The lines that match and have arrived since. Only whole lines, each once, none left out. */
int log_follow_more(struct log_follow *w, struct moment now, log_line_cb cb, log_broken_cb broken, void *userdata);
