#pragma once
/* The newest lines, and then those that come: `logs tail`. Goes on where it stopped when a day ends and when a file is
 * compressed; sources that appear are followed from their first line. Holds no file open between calls. One thread.
 * Memory: 300 bytes a source, and the lines asked for twice over. */

#include "storage/log_days/log_query.h"

#define LOG_FOLLOW_POLL_MS 250 /* between two looks at the files that are followed; the caller waits */
#define LOG_FOLLOW_SCAN_SECS 2 /* between two looks for new sources */
#define LOG_FOLLOW_LAST_MAX 100000

struct log_follow;

/* Strings in f are borrowed. 0 or -errno. */
int log_follow_new(int datadir_fd, const struct log_filter *f, struct log_follow **ret);
struct log_follow *log_follow_free(struct log_follow *w); /* NULL-safe */
DEFINE_FREEP(log_follow_free, struct log_follow)

/* Once, first: the n newest lines that fit; those of one source in their order, those of several by time. From the ends of
 * the files backwards, no more of them than it takes. 0, what cb returned, -errno. */
int log_follow_last(struct log_follow *w, size_t n, log_line_cb cb, log_broken_cb broken, void *userdata);

/* The lines that fit and have come since. Never a part of one, none twice, none left out. */
int log_follow_more(struct log_follow *w, struct moment now, log_line_cb cb, log_broken_cb broken, void *userdata);
