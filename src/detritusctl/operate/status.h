#pragma once
/* What `status` shows: what the daemon says, what the database has, what the file system has. */

#include <json.h>
#include <sys/types.h>

#include "detritusctl/cli/ctl.h"
#include "storage/index/index_list.h"
#include "storage/index/index_read.h"
#include "util/error.h"

#define STATUS_COUNT_MAX 100000 /* sources and recent crashes are counted up to this: the screen must come at once */

struct status {
        const char *data_dir;
        /* "up"; "busy": it is up, but did not answer; "down", "died" (the last stop was not orderly); cannot tell:
         * "held", "unknown" */
        const char *state;
        struct error reason;        /* of "busy" and "unknown" */
        pid_t held_by;              /* who holds the lock, if that is known and the daemon does not answer */
        struct json_object *daemon; /* its own answer; NULL: none answers */
        bool disk_known;
        uint64_t disk_free_bytes, disk_size_bytes;
        bool stored_known; /* else `problem` says why */
        struct index_counts counts;
        struct index_usage usage;
        struct error problem;
};

void status_gather(const struct ctl *ctl, struct status *ret);
void status_done(struct status *s);

/* Three answers about the daemon, and one more about its health. As for LSB scripts, 3 is "not running", 4
 * "unknown". */
enum { STATUS_FINE = 0, STATUS_TROUBLE = 1, STATUS_DOWN = 3, STATUS_CANNOT_TELL = 4 };
int status_exit(const struct status *s);

/* A daemon runs, accepts everything and has no trouble, and the database can be read. */
bool status_is_fine(const struct status *s);

void status_print(const struct status *s);     /* for people */
int status_print_json(const struct status *s); /* 0, -ENOMEM, -EIO */
