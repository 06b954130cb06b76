#pragma once
/* What the operations share: operations.c (table, requests, answers), operations_status.c, operations_delete.c. */

#include <json.h>
#include <pthread.h>

#include "control/operations.h"

struct operation_call;

struct operations {
        struct operations_config config;
        uint64_t started_ns;
        struct moment started;
        pthread_mutex_t lock;
        bool stopping;
        struct operation_call *calls; /* running, linked */
};

/* One call. answer gathers the members of the last line: `,"crashes":3`. */
struct operation_call {
        struct operations *operations;
        struct json_object *request;
        operations_emit emit;
        void *userdata;
        int emitted; /* what emit said */
        struct buf answer;
        struct error err;
        struct deletion *deletion; /* that operations_stop() stops; NULL: none */
        struct operation_call *next;
};

/* Members of the request. NULL, false or `otherwise` when missing; a wrong kind is an error: -EINVAL, err set. */
int operation_text(struct operation_call *c, const char *key, const char **ret);
int operation_flag(struct operation_call *c, const char *key, bool *ret);

/* An operation's result: 0, or below 0 with err (or without: then strerror()). */
int operation_refuse(struct operation_call *c, const char *fmt, ...) _printf_(2, 3);

/* Members of an answer. 0 or -ENOMEM. */
int operation_put_text(struct buf *out, const char *key, const char *value); /* NULL: null */
int operation_put_number(struct buf *out, const char *key, uint64_t value);
int operation_put_flag(struct buf *out, const char *key, bool value);

/* {"item":{...}}: body has members as above. What emit said. */
int operation_emit(struct operation_call *c, const char *kind, const struct buf *body);

/* A deletion that operations_stop() stops; freed with the call, which may have one. */
int operation_begin_deletion(struct operation_call *c, struct deletion **ret);

int operation_status(struct operation_call *c);
int operation_gc(struct operation_call *c);
int operation_purge(struct operation_call *c);
int operation_delete(struct operation_call *c);
int operation_hold(struct operation_call *c);
int operation_release(struct operation_call *c);
int operation_repair(struct operation_call *c);
