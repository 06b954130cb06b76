#pragma once
/* One operation under way: its request, its answer, and what they have in common. operations.c has the table and runs
 * them; each operation_*.c has one or a few. An operation runs on its caller's thread from beginning to end. */

#include <pthread.h>

#include "control/operations.h"
#include "protocol/json/json_read.h"
#include "protocol/json/json_write.h"
#include "storage/index/index_operate.h"

struct operation;

struct operations {
        struct operations_config config;
        uint64_t started_ns;
        struct moment started;
        pthread_mutex_t lock;
        bool stopping;
        struct operation *running; /* linked */
};

struct operation {
        struct operations *operations;
        struct json_object *request;
        operations_emit emit;
        void *userdata;
        int emitted;           /* what emit returned */
        bool answered;         /* the last line has been sent */
        struct buf answer;     /* the members of the last line, as an object */
        struct json_write out; /* writes them */
        struct error err;
        struct deletion *deletion; /* that operations_stop() stops; NULL: none */
        struct operation *next;
};

/* The request's text becomes o->request. 0, or < 0 with err. */
int operation_parse(struct operation *o, const char *request);
/* The last line: "ok", or what went wrong, and the answer's members. As operations_run() returns. */
int operation_answer(struct operation *o, int result);

/* An operation returns 0, or below 0 with err; without err, strerror() says it. On an error, too, the answer has the
 * members that were written until then. */
int operation_refuse(struct operation *o, const char *fmt, ...) _printf_(2, 3);

/* Members of the request. NULL or false when missing; a wrong kind is an error: -EINVAL, err set. */
int operation_text(struct operation *o, const char *key, const char **ret);
int operation_flag(struct operation *o, const char *key, bool *ret);
/* One that must be there: an array of 1 to max elements. */
int operation_array(struct operation *o, const char *key, size_t max, struct json_object **ret, size_t *ret_n);

/* A line before the last one: {"item":{...}}. Members are written between begin and emit. */
struct operation_line {
        struct buf bytes;
        struct json_write out;
};
void operation_line_begin(struct operation_line *l, const char *kind);
int operation_line_emit(struct operation *o, struct operation_line *l); /* frees it; what emit returned, or -ENOMEM */

/* A deletion that operations_stop() stops; freed with the operation, which may have one. */
int operation_begin_deletion(struct operation *o, struct deletion **ret);

/* For dry runs. 0 or < 0 with err. */
int operation_open_to_read(struct operation *o, struct index **ret);

void operation_put_tally(struct json_write *w, const struct deletion_tally *t);
void operation_put_survey(struct json_write *w, const struct index_survey *s);
void operation_put_time(struct json_write *w, const char *key, struct moment at); /* whole seconds */

int operation_gc(struct operation *o);
int operation_purge(struct operation *o);
int operation_crashes_delete(struct operation *o);
int operation_crashes_hold(struct operation *o);
int operation_crashes_release(struct operation *o);
int operation_repair(struct operation *o);
int operation_status(struct operation *o);
