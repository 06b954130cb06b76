#pragma once
/* What backup.c (everything but logs) and backup_logs.c share. */

#include "upkeep/backup.h"
#include "upkeep/tree_copy.h"

struct backup {
        const struct backup_config *config;
        int from_fd, to_fd, lock_fd;
        struct index *source; /* read-only */
        struct index *copy;   /* in incoming/ until it is published; afterwards read-only */
        struct tree_copy files;
        struct moment started;
        struct backup_counts counts;
};

void backup_progress(const struct backup *b, const char *step, uint64_t done, uint64_t all);
int backup_remove(struct backup *b, const char *path); /* from the copy; counted if it was there */

/* Tells of a file or directory that is not copied. False: the error is another one, and ends the run. error: -errno of
 * copying it. */
bool backup_left(struct backup *b, const char *path, int error);

/* Copies the log files, and corrects their rows in the copy. 0 or -errno. */
int backup_logs(struct backup *b);
