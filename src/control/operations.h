#pragma once
/* What operators do to a data directory, requested in JSON: over the daemon's control socket (control.h), or by a
 * detritusctl that holds the data directory's lock itself. One table, so that both do the same.
 *
 * A request is one object with "op"; its other members depend on that (docs/control-socket.md lists them). The answer
 * is any number of {"progress":{...}} and {"item":{...}} lines and then one {"ok":true,...} or {"error":"...",...}. Any
 * thread, several at once; each call works on its caller's thread. */

#include <stddef.h>

#include "config/config.h"
#include "control/rates.h"
#include "storage/store/store.h"

#define OPERATIONS_REQUEST_MAX (64 * 1024) /* bytes of a request */
#define OPERATIONS_IDS_MAX 2000            /* crashes named in one */
#define OPERATIONS_REPAIRS_MAX 100         /* findings named in one */

struct operations;

struct operations_config {
        const struct config *config; /* borrowed, as is all of it */
        struct metrics *metrics;
        struct store *store;
        struct rates *rates; /* NULL: no daemon, and so are the next three */
        const char *(*address)(void *userdata, size_t i);
        int (*reload)(void *userdata, struct error *err, size_t *ret_tokens);
        void *userdata;
};

/* 0 or -ENOMEM. */
int operations_new(const struct operations_config *config, struct operations **ret);
struct operations *operations_free(struct operations *o); /* NULL-safe; nothing may be running */
DEFINE_FREEP(operations_free, struct operations)

/* Running operations end between two steps, and their answers say so; a retention cycle ends, too. Any thread. */
void operations_stop(struct operations *o);

/* Takes one line of the answer, without its newline; a NUL follows after len bytes. A result other than 0 means that
 * nobody listens any more, and the work ends soon. */
typedef int (*operations_emit)(void *userdata, const char *line, size_t len);

/* 0 when the answer was "ok", OPERATIONS_FAILED when it was an error, or what emit returned. */
enum { OPERATIONS_FAILED = 1 };
int operations_run(struct operations *o, const char *request, operations_emit emit, void *userdata);
