#pragma once
/* Performs an operation (control/operations.h): asks the running daemon to, or, when none runs, does it in this
 * process, which takes the data directory's lock for it. The same code does the work in both. */

#include <json.h>

#include "detritusctl/cli/ctl.h"

struct perform_request {
        const char *text; /* one JSON object, on one line */
        /* Called for each item as it comes; a value other than 0 ends the work. NULL: items are ignored. */
        int (*on_item)(void *userdata, struct json_object *item);
        void *userdata;
        /* It deletes what is too old, so without a daemon somebody has to say how old that is: --config, or these two,
         * as the daemon's flags take them. */
        bool retention;
        const char *logs_ttl_days, *crashes_ttl_days; /* NULL: not given */
};

/* CTL_OK, or CTL_FAILED after a message. *ret_answer: the last line, whose members count what was done, even after an
 * error; NULL: there was none. The caller's, json_read_free(). */
int perform(const struct ctl *ctl, const struct perform_request *request, struct json_object **ret_answer);
