#pragma once
/* The writing half of the log committer: groups of batches become lines in files, and are made durable by one sync of
 * the journal, or of the few files themselves where that is cheaper.
 *
 * The committer's thread alone, from log_writer_begin() on, but for log_writer_failed(). */

#include "storage/logs/log_committer.h"

struct log_writer;

/* The config is borrowed. Opens the journal and starts the checkpoint's thread, if config says sync. 0 or -errno. */
int log_writer_new(const struct log_committer_config *config, struct log_writer **ret);
struct log_writer *log_writer_free(struct log_writer *w); /* after log_writer_end(), or before begin(); NULL-safe */

/* The calling thread is the committer's from now on. */
void log_writer_begin(struct log_writer *w);
/* Checkpoints what is left, so that a recovery finds nothing to do, sends the last notes, closes the files. */
void log_writer_end(struct log_writer *w);

/* Writes a group and makes it durable; the results are in each item. 0, or -EIO: a sync failed, and nothing may be
 * acknowledged any more. */
int log_writer_store(struct log_writer *w, struct log_work *list);

/* Begins a checkpoint if it is time for one, and sends the notes that are due. */
void log_writer_tick(struct log_writer *w);
bool log_writer_needs_ticks(const struct log_writer *w); /* within a second or so */

size_t log_writer_open_files(const struct log_writer *w);
/* log_writer_store() has failed, or a checkpoint. Any thread. */
bool log_writer_failed(const struct log_writer *w);
