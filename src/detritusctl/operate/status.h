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
        const char *state;          /* "up", "down", "died" (the last stop was not orderly), "held" */
        pid_t held_by;              /* of "held" */
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

/* A daemon runs, accepts everything and has no trouble, and the database can be read. */
bool status_is_fine(const struct status *s);

void status_print(const struct status *s);     /* for people */
int status_print_json(const struct status *s); /* 0, -ENOMEM, -EIO */
