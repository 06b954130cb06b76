/* A request becomes a struct operation, the table finds its function, the function puts members into the answer. */
#include "control/operations.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/operation.h"

static int ping(struct operation *o)
{
        json_write_string(&o->out, "version", DETRITUS_VERSION);
        json_write_u64(&o->out, "pid", (uint64_t)getpid());
        json_write_bool(&o->out, "daemon", o->operations->config.rates);
        return 0;
}

static int reload(struct operation *o)
{
        const struct operations_config *config = &o->operations->config;
        size_t tokens = 0;
        if (!config->reload)
                return operation_refuse(o, "no daemon is running that could reload its tokens");
        int r = config->reload(config->userdata, &o->err, &tokens);
        if (r != 0)
                return -EINVAL;
        json_write_string(&o->out, "tokens_config", config->config->tokens_config);
        json_write_u64(&o->out, "tokens", tokens);
        return 0;
}

static const struct {
        const char *name;
        int (*run)(struct operation *o);
} operations[] = {
        { "ping", ping },
        { "status", operation_status },
        { "reload", reload },
        { "gc", operation_gc },
        { "purge", operation_purge },
        { "crash-delete", operation_crashes_delete },
        { "crash-hold", operation_crashes_hold },
        { "crash-release", operation_crashes_release },
        { "repair", operation_repair },
};

static void enter(struct operations *all, struct operation *o)
{
        pthread_mutex_lock(&all->lock);
        o->next = all->running;
        all->running = o;
        pthread_mutex_unlock(&all->lock);
}

static void leave(struct operations *all, const struct operation *o)
{
        pthread_mutex_lock(&all->lock);
        struct operation **at = &all->running;
        while (*at != o) {
                assert(*at);
                at = &(*at)->next;
        }
        *at = o->next;
        pthread_mutex_unlock(&all->lock);
        deletion_free(o->deletion);
}

static int find_and_run(struct operation *o)
{
        const char *name;
        int r = operation_text(o, "op", &name);
        if (r < 0)
                return r;
        for (size_t i = 0; name && i < ARRAY_LEN(operations); i++) {
                if (strcmp(name, operations[i].name) == 0)
                        return operations[i].run(o);
        }
        return operation_refuse(o, "there is no operation \"%s\"", name ? name : "");
}

int operations_run(struct operations *all, const char *request, operations_emit emit, void *userdata)
{
        struct operation o = { .operations = all, .emit = emit, .userdata = userdata };
        o.out = json_write_to(&o.answer);
        json_write_object(&o.out, NULL);
        enter(all, &o);
        int r = operation_parse(&o, request);
        if (r == 0)
                r = find_and_run(&o);
        leave(all, &o);
        r = operation_answer(&o, r);
        json_read_free(o.request);
        buf_done(&o.answer);
        return r;
}

void operations_stop(struct operations *all)
{
        struct janitor *janitor = store_janitor(all->config.store);
        if (janitor)
                janitor_stop(janitor); /* somebody may wait for its cycle */
        pthread_mutex_lock(&all->lock);
        all->stopping = true;
        for (struct operation *o = all->running; o; o = o->next) {
                if (o->deletion)
                        deletion_stop(o->deletion);
        }
        pthread_mutex_unlock(&all->lock);
}

int operations_new(const struct operations_config *config, struct operations **ret)
{
        struct operations *o = calloc(1, sizeof(*o));
        if (!o)
                return -ENOMEM;
        o->config = *config;
        o->started = clock_now();
        o->started_ns = clock_monotonic_ns();
        pthread_mutex_init(&o->lock, NULL);
        *ret = o;
        return 0;
}

struct operations *operations_free(struct operations *o)
{
        if (!o)
                return NULL;
        assert(!o->running);
        pthread_mutex_destroy(&o->lock);
        free(o);
        return NULL;
}
