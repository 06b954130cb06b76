#pragma once
/* Log files that somebody moves while they are written: renamed, removed, emptied, or another file put in their place.
 *
 * The rule: a line leaves the journal only when it is known to be durable in a file, or was deleted through the daemon.
 * So when the name of an open file stands for another file than the one that was written, each line that the journal
 * still holds is looked for: in the file that has the name now, in the renamed file, in the copies beside it. What is
 * in none of them goes to the end of the file that has the name now. A file that was removed, with nothing put in its
 * place, was meant to go: its lines stay deleted.
 *
 * The committer's thread, between two groups. */

#include "storage/logs/journal.h"
#include "storage/logs/log_cache.h"
#include "storage/logs/log_checkpoint.h"

/* All borrowed. */
struct log_settle {
        const struct log_committer_config *config;
        struct log_cache *files;
        struct journal *journal;           /* NULL without sync: then moved files are just closed */
        struct log_checkpoint *checkpoint; /* likewise */
        uint64_t group;                    /* counts the groups */
};

/* Before a group is written: looks at each open file that it will write to. When one was moved, it looks at all with
 * lines in the journal. 0 or LOG_FILE_BROKEN; what concerns a single file is in its `trouble`. */
int log_settle_group(struct log_settle *s, struct log_work *list);
/* The same before a checkpoint, which would free the journal. -EAGAIN: not yet, a moved file cannot be looked at. */
int log_settle_checkpoint(struct log_settle *s);
/* Whether a file with lines in the journal was moved. At any time. */
bool log_settle_is_due(const struct log_settle *s);
