#pragma once
/* Copies of a database, for backup, import and reindex. */

#include "storage/index/index.h"

/* Read-only, and of any version, from before the first release too: for index_count_all() and index_copy_to() alone.
 * INDEX_TOO_NEW, < 0 with err. */
int index_open_any(const char *data_dir, struct index **ret, struct error *err);

/* Copies the database, as it is at one moment, into a new file that must not exist: SQLite's online backup. It holds a
 * snapshot until it is done. The file is not synced. progress (may be NULL) is called with pages. */
typedef void (*index_progress)(void *userdata, uint64_t done, uint64_t all);
int index_copy_to(struct index *x, const char *path, index_progress progress, void *userdata);

/* Forgets a blob with every crash that uses it: for a copy, whose original has deleted them. Inside a transaction. */
int index_forget_blob(struct index *x, const char *sha256);
/* The file alone holds everything then, as it must before it is renamed: closing does the same, but reports no failure.
 * */
int index_checkpoint_whole(struct index *x);
/* Makes one plain file of the database, readable on media that cannot be written; opening it for writing undoes that.
 * */
int index_leave_wal(struct index *x);

/* Takes from a database of any version that index_copy_to() made what JSON files do not say about crashes and log files
 * that both have: when a crash was received (the earlier one), whether it is held, how many lines a file has, and
 * sources. */
int index_take_over(struct index *x, const char *copy_path);
/* And when tokens were last used: for a copy of the same data directory, since others have other tokens. */
int index_take_over_tokens(struct index *x, const char *copy_path);
