#pragma once
/* What backup.c (the whole, and crashes) and backup_logs.c share. */

#include "upkeep/backup.h"
#include "upkeep/tree_copy.h"

struct backup {
        const struct backup_config *config;
        int from_fd, to_fd, lock_fd;
        struct index *source; /* read-only */
        struct index *copy;   /* in incoming/ until it is published */
        struct tree_copy files;
        struct moment started;
        struct backup_counts counts;
};

void backup_progress(const struct backup *b, const char *step, uint64_t done, uint64_t all);
int backup_remove(struct backup *b, const char *path); /* of the copy; one that is not there is well too */

/* Log files, and the copy's rows of them. 0 or -errno. */
int backup_logs(struct backup *b);
