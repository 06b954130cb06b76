/* A request becomes a call, the table finds its function, the function puts members into the answer. */
#include "control/operations.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/operations_internal.h"
#include "protocol/json/json_document.h"
#include "util/text/utf8.h"

#define REQUEST_DEPTH 8
#define UTF8_MAX_BYTES 4

static int ping(struct operation_call *c)
{
        int r = operation_put_text(&c->answer, "version", DETRITUS_VERSION);
        if (r == 0)
                r = operation_put_number(&c->answer, "pid", (uint64_t)getpid());
        return r == 0 ? operation_put_flag(&c->answer, "daemon", c->operations->config.rates) : r;
}

static int reload(struct operation_call *c)
{
        const struct operations_config *config = &c->operations->config;
        size_t tokens = 0;
        if (!config->reload)
                return operation_refuse(c, "no daemon runs that could read its tokens again");
        int r = config->reload(config->userdata, &c->err, &tokens);
        if (r != 0)
                return -EINVAL;
        r = operation_put_text(&c->answer, "tokens_config", config->config->tokens_config);
        return r == 0 ? operation_put_number(&c->answer, "tokens", tokens) : r;
}

static const struct {
        const char *name;
        int (*run)(struct operation_call *c);
} operations[] = {
        { "ping", ping },
        { "status", operation_status },
        { "reload", reload },
        { "gc", operation_gc },
        { "purge", operation_purge },
        { "crash-delete", operation_delete },
        { "crash-hold", operation_hold },
        { "crash-release", operation_release },
        { "repair", operation_repair },
};

/* ---- requests ---- */

int operation_refuse(struct operation_call *c, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        vsnprintf(c->err.text, sizeof(c->err.text), fmt, args);
        va_end(args);
        return -EINVAL;
}

int operation_text(struct operation_call *c, const char *key, const char **ret)
{
        struct json_object *value;
        *ret = NULL;
        if (!json_object_object_get_ex(c->request, key, &value) || !value)
                return 0;
        size_t len = json_object_is_type(value, json_type_string) ? (size_t)json_object_get_string_len(value) : 0;
        if (len == 0 || strlen(json_object_get_string(value)) != len) /* a NUL would make another name of it */
                return operation_refuse(c, "\"%s\" is not a text", key);
        *ret = json_object_get_string(value);
        return 0;
}

int operation_flag(struct operation_call *c, const char *key, bool *ret)
{
        struct json_object *value;
        *ret = false;
        if (!json_object_object_get_ex(c->request, key, &value) || !value)
                return 0;
        if (!json_object_is_type(value, json_type_boolean))
                return operation_refuse(c, "\"%s\" is neither true nor false", key);
        *ret = json_object_get_boolean(value);
        return 0;
}

/* ---- answers ---- */

static int put_key(struct buf *out, const char *key)
{
        return buf_printf(out, ",\"%s\":", key);
}

int operation_put_text(struct buf *out, const char *key, const char *value)
{
        int r = put_key(out, key);
        if (r == 0)
                r = value ? json_document_append_string(out, value) : buf_append_str(out, "null");
        return r;
}

int operation_put_number(struct buf *out, const char *key, uint64_t value)
{
        return buf_printf(out, ",\"%s\":%llu", key, (unsigned long long)value);
}

int operation_put_flag(struct buf *out, const char *key, bool value)
{
        return buf_printf(out, ",\"%s\":%s", key, value ? "true" : "false");
}

static int emit(struct operation_call *c, struct buf *line)
{
        int r = buf_reserve(line, 1);
        if (r < 0)
                return r;
        line->data[line->len] = '\0';
        if (c->emitted == 0)
                c->emitted = c->emit(c->userdata, (const char *)line->data, line->len);
        return c->emitted;
}

/* The members without their first comma. */
static const char *members(const struct buf *body)
{
        return (const char *)body->data + 1;
}

int operation_emit(struct operation_call *c, const char *kind, const struct buf *body)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        int r = buf_printf(&line, "{\"%s\":{", kind);
        if (r == 0)
                r = buf_append(&line, members(body), body->len - 1);
        if (r == 0)
                r = buf_append_str(&line, "}}");
        return r == 0 ? emit(c, &line) : r;
}

/* ---- calls ---- */

int operation_begin_deletion(struct operation_call *c, struct deletion **ret)
{
        assert(!c->deletion);
        int r = store_new_deletion(c->operations->config.store, ret);
        if (r < 0)
                return r;
        pthread_mutex_lock(&c->operations->lock);
        c->deletion = *ret;
        if (c->operations->stopping)
                deletion_stop(*ret);
        pthread_mutex_unlock(&c->operations->lock);
        return 0;
}

static void enter(struct operations *o, struct operation_call *c)
{
        pthread_mutex_lock(&o->lock);
        c->next = o->calls;
        o->calls = c;
        pthread_mutex_unlock(&o->lock);
}

static void leave(struct operations *o, const struct operation_call *c)
{
        pthread_mutex_lock(&o->lock);
        struct operation_call **at = &o->calls;
        while (*at != c)
                at = &(*at)->next;
        *at = c->next;
        pthread_mutex_unlock(&o->lock);
        deletion_free(c->deletion);
}

static int find_and_run(struct operation_call *c)
{
        const char *name;
        int r = operation_text(c, "op", &name);
        if (r < 0)
                return r;
        for (size_t i = 0; name && i < ARRAY_LEN(operations); i++) {
                if (strcmp(name, operations[i].name) == 0)
                        return operations[i].run(c);
        }
        return operation_refuse(c, "there is no operation \"%s\"", name ? name : "");
}

static int parse(struct operation_call *c, const char *request)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        struct error why;
        int r = json_document_check(request, strlen(request), REQUEST_DEPTH, &text, &why);
        if (r > 0)
                return operation_refuse(c, "the request is not JSON: %.400s", why.text);
        if (r == 0)
                r = buf_append_char(&text, '\0');
        if (r < 0)
                return r;
        c->request = json_tokener_parse((const char *)text.data);
        if (!json_object_is_type(c->request, json_type_object))
                return operation_refuse(c, "the request is not an object");
        return 0;
}

/* Words may quote a path, or end in the middle of a character that did not fit. */
static const char *make_valid(char *text)
{
        for (char *p = text; *p;) {
                size_t n = 1, left = strnlen(p, UTF8_MAX_BYTES);
                while (n <= left && !utf8_valid(p, n))
                        n++;
                if (n > left)
                        *p = '?';
                p += n > left ? 1 : n;
        }
        return text;
}

static const char *words(struct operation_call *c, int r)
{
        if (c->err.text[0])
                return make_valid(c->err.text);
        switch (r) {
        case -ECANCELED: return "it was ended before it was done; what was done stays done";
        case -EROFS: return "the store takes no writes until the daemon is restarted";
        case -ENOSPC: return "the disk is full";
        default: return strerror(-r);
        }
}

/* On an error what was done until then is in the answer, too. */
static int answer(struct operation_call *c, int r)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        int e;
        if (r < 0) {
                e = buf_append_str(&line, "{\"error\":");
                if (e == 0)
                        e = json_document_append_string(&line, words(c, r));
        } else {
                e = buf_append_str(&line, "{\"ok\":true");
        }
        if (e == 0 && c->answer.len > 0)
                e = buf_append(&line, c->answer.data, c->answer.len);
        if (e == 0)
                e = buf_append_char(&line, '}');
        if (e < 0)
                return e;
        e = emit(c, &line);
        return e != 0 ? e : r < 0 ? OPERATIONS_FAILED : 0;
}

int operations_run(struct operations *o, const char *request, operations_emit emit_cb, void *userdata)
{
        struct operation_call c = { .operations = o, .emit = emit_cb, .userdata = userdata };
        enter(o, &c);
        int r = parse(&c, request);
        if (r == 0)
                r = find_and_run(&c);
        leave(o, &c);
        r = answer(&c, r);
        json_object_put(c.request);
        buf_done(&c.answer);
        return r;
}

void operations_stop(struct operations *o)
{
        struct janitor *janitor = store_janitor(o->config.store);
        if (janitor)
                janitor_stop(janitor); /* somebody may wait for its cycle */
        pthread_mutex_lock(&o->lock);
        o->stopping = true;
        for (struct operation_call *c = o->calls; c; c = c->next) {
                if (c->deletion)
                        deletion_stop(c->deletion);
        }
        pthread_mutex_unlock(&o->lock);
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
        pthread_mutex_destroy(&o->lock);
        free(o);
        return NULL;
}
