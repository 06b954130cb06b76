#pragma once
/* Totals of log files on their way from the log committer into the index's table log_file (index_notes.h). */

#include "storage/logs/log_committer.h"
#include "storage/writer/index_writer.h"

struct log_totals;

/* The index writer is borrowed. 0 or -errno. */
int log_totals_new(struct index_writer *index, struct log_totals **ret);
/* Writes what is pending first, unless the index fails. No more notes, and the index writer alive. NULL-safe. */
struct log_totals *log_totals_free(struct log_totals *t);
DEFINE_FREEP(log_totals_free, struct log_totals)

/* Writes what is pending now, as far as the index takes it, and waits for that. */
void log_totals_flush(struct log_totals *t);

/* For log_committer_config.note. 0, -EAGAIN while too many files wait, -ENOMEM. The committer's thread. */
int log_totals_note(void *log_totals, const struct log_file_note *note);
