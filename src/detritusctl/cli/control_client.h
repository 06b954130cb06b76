#pragma once
/* Having an operation done (control/operations.h): by the daemon, through its control socket, or, when none runs, by
 * this process, which takes the data directory's lock for it. The same code does the work in both. */

#include <json.h>

#include "detritusctl/cli/command.h"
#include "util/cleanup.h"

static inline void json_object_putp(struct json_object **o)
{
        json_object_put(*o);
}

struct ctl_operation {
        const char *request; /* one JSON object, on one line */
        /* Each item, as it comes; other than 0 ends the work. NULL: nobody wants them. */
        int (*on_item)(void *userdata, struct json_object *item);
        void *userdata;
        /* It deletes what is too old: without a daemon, who says how old that is? These, as the daemon's flags have them,
         * or --config. */
        bool retention;
        const char *logs_ttl_days, *crashes_ttl_days; /* NULL: not given */
};

/* CTL_OK, or CTL_FAILED after words. *ret_answer: the last line, whose members tell what was done, also after an error;
 * NULL: there was none. The caller's, json_object_put(). */
int ctl_operate(const struct ctl *ctl, const struct ctl_operation *operation, struct json_object **ret_answer);

/* The daemon's answer to one request without items, which it answers at once. 0, or -errno: -ECONNREFUSED: nobody listens
 * there, -ENOENT: there is no such directory, -ETIMEDOUT: it stands still. Says nothing. */
int ctl_ask(const char *data_dir, const char *request, struct json_object **ret_answer);
/* The same; NULL: there is none, for whatever reason. */
struct json_object *ctl_ask_daemon(const struct ctl *ctl, const char *request);
bool ctl_daemon_runs(const struct ctl *ctl);

uint64_t ctl_number(struct json_object *object, const char *key);  /* 0 when it is not there */
const char *ctl_text(struct json_object *object, const char *key); /* NULL when it is not there */
