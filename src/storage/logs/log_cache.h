#pragma once
/* The log files that are open: the least recently used are closed beyond a bound, and all of them when the UTC day
 * changes. It also remembers what has been noted about them (struct log_file_note). The committer's thread alone. */

#include "storage/logs/log_checkpoint.h"
#include "storage/logs/log_committer.h"
#include "storage/logs/log_file.h"

struct log_cache;

/* The config is borrowed. NULL on ENOMEM. */
struct log_cache *log_cache_new(const struct log_committer_config *config);
/* Gives the last notes and closes the files, syncing nothing. NULL-safe. */
struct log_cache *log_cache_free(struct log_cache *c);
DEFINE_FREEP(log_cache_free, struct log_cache)
void log_cache_begin(struct log_cache *c); /* the calling thread is the committer's from now on */

/* The receipt time of everything until the next call. Files of another day than its own are closed; none of them may
 * have been touched. */
void log_cache_set_time(struct log_cache *c, struct moment at);
const char *log_cache_day(const struct log_cache *c);

/* Today's file of the source when it is open, else NULL. It stays valid until log_cache_open(), log_cache_retire()
 * or an unlink. Somebody may have moved it (log_settle.h). */
struct log_file *log_cache_find(struct log_cache *c, const struct source *source);
bool log_cache_full(const struct log_cache *c);
/* Opens today's file of a source that is not open yet. When full, the least recently used file is closed. 0, -errno or
 * LOG_FILE_BROKEN. */
int log_cache_open(struct log_cache *c, const struct source *source, struct log_file **ret);

/* Something about the source's file failed with this error (>= 0: nothing did): is it about permission? */
void log_cache_report(struct log_cache *c, const struct source *source, int error);
/* Closes it; its batches must be written. */
void log_cache_close(struct log_cache *c, struct log_file *f);

/* The file is about to be changed. Touched files become durable by log_cache_sync(), or go on to the next checkpoint by
 * log_cache_leave(), once the journal has their lines. */
void log_cache_touch(struct log_cache *c, struct log_file *f);
unsigned log_cache_touched(const struct log_cache *c); /* how many; UINT_MAX when one of them is closed already */
int log_cache_sync(struct log_cache *c);               /* 0 or LOG_FILE_BROKEN */
void log_cache_leave(struct log_cache *c);
/* What the next checkpoint has to sync; the cache forgets it. */
void log_cache_hand_over(struct log_cache *c, struct log_checkpoint_work *ret);

/* Counts lines for the next note; newest is the last append of them. */
void log_cache_count(struct log_cache *c, struct log_file *f, const struct log_append *newest, uint64_t lines);
/* Takes them back. */
void log_cache_uncount(struct log_file *f, const struct log_append *a);

/* The files with lines that no checkpoint has taken on yet, by dirty_next. */
struct log_file *log_cache_dirty(const struct log_cache *c);
/* Closes a file: the next look-up opens what has its name then. It must not be touched. */
void log_cache_retire(struct log_cache *c, struct log_file *f);

/* See log_file_unlink(). On success an open descriptor is closed, unsynced and without a note. */
int log_cache_unlink(struct log_cache *c, const struct log_unlink *u);

/* Gives the notes that are due; cheap when called again too soon. */
void log_cache_notes(struct log_cache *c);
/* Whether there are totals that have not been noted yet: log_cache_notes() should be called within a second or so. */
bool log_cache_has_news(const struct log_cache *c);

size_t log_cache_size(const struct log_cache *c); /* files open */
