#include "control/operation.h"

#include <assert.h>
#include <errno.h>
#include <json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/json/json_document.h"
#include "storage/index/index_read.h"
#include "util/text/utf8.h"

#define REQUEST_DEPTH 8
/* json-c counts depth differently, so this is generous; json_document_check() has already enforced REQUEST_DEPTH. */
#define JSON_C_DEPTH 16
#define UTF8_MAX_BYTES 4

int operation_refuse(struct operation *o, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        vsnprintf(o->err.text, sizeof(o->err.text), fmt, args);
        va_end(args);
        return -EINVAL;
}

/* ---- requests ---- */

int operation_parse(struct operation *o, const char *request)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        struct error why;
        int r = json_document_check(request, strlen(request), REQUEST_DEPTH, &text, &why);
        if (r > 0)
                return operation_refuse(o, "the request is not JSON: %.400s", why.text);
        if (r == 0)
                r = json_read_parse((const char *)text.data, text.len, JSON_C_DEPTH, &o->request);
        if (r < 0)
                return r;
        if (!json_object_is_type(o->request, json_type_object))
                return operation_refuse(o, "the request must be a JSON object");
        return 0;
}

int operation_text(struct operation *o, const char *key, const char **ret)
{
        struct json_object *value = json_read_member(o->request, key);
        const char *text = json_read_string(o->request, key);
        *ret = NULL;
        if (!value)
                return 0;
        if (!text || !*text || strlen(text) != (size_t)json_object_get_string_len(value)) /* a NUL cuts a name short */
                return operation_refuse(o, "\"%s\" must be a non-empty string without NUL", key);
        *ret = text;
        return 0;
}

int operation_flag(struct operation *o, const char *key, bool *ret)
{
        struct json_object *value = json_read_member(o->request, key);
        if (value && !json_object_is_type(value, json_type_boolean))
                return operation_refuse(o, "\"%s\" must be true or false", key);
        *ret = json_read_bool(o->request, key);
        return 0;
}

int operation_array(struct operation *o, const char *key, size_t max, struct json_object **ret, size_t *ret_n)
{
        struct json_object *array = json_read_member(o->request, key);
        size_t n = json_read_count(array);
        if (!json_object_is_type(array, json_type_array))
                return operation_refuse(o, "\"%s\" must be an array", key);
        if (n == 0 || n > max)
                return operation_refuse(o, "\"%s\" has %zu elements; it must have 1 to %zu", key, n, max);
        *ret = array;
        *ret_n = n;
        return 0;
}

/* ---- answers ---- */

static int send_line(struct operation *o, struct buf *line)
{
        int r = buf_append_char(line, '\0');
        assert(!o->answered);
        if (r < 0)
                return r;
        if (o->emitted == 0)
                o->emitted = o->emit(o->userdata, (const char *)line->data, line->len - 1);
        return o->emitted;
}

/* An error text may quote a path, or end in the middle of a character that did not fit. */
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

static const char *error_text(struct operation *o, int error)
{
        if (o->err.text[0])
                return make_valid(o->err.text);
        switch (error) {
        case -ECANCELED: return "the operation was stopped before it finished; what it had done so far is kept";
        case -EROFS: return "the store accepts no writes until the daemon is restarted";
        case -ENOSPC: return "the disk is full";
        default: return strerror(-error);
        }
}

/* Writes "ok" or "error" first, then the members of the object in o->answer, all in one object. */
int operation_answer(struct operation *o, int result)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        while (o->out.depth > 0) /* an error may have left an array open */
                json_write_end(&o->out);
        json_write_object(&w, NULL);
        if (result < 0)
                json_write_string(&w, "error", error_text(o, result));
        else
                json_write_bool(&w, "ok", true);
        json_write_end(&w);
        int r = json_write_finish(&w);
        if (r == 0)
                r = json_write_finish(&o->out);
        if (r == 0 && o->answer.len > strlen("{}")) {
                line.data[line.len - 1] = ',';
                r = buf_append(&line, o->answer.data + 1, o->answer.len - 1);
        }
        if (r == 0)
                r = send_line(o, &line);
        o->answered = true;
        return r != 0 ? r : result < 0 ? OPERATIONS_FAILED : 0;
}

void operation_line_begin(struct operation_line *l, const char *kind)
{
        assert(l->bytes.len == 0);
        l->out = json_write_to(&l->bytes);
        json_write_object(&l->out, NULL);
        json_write_object(&l->out, kind);
}

int operation_line_emit(struct operation *o, struct operation_line *l)
{
        json_write_end(&l->out);
        json_write_end(&l->out);
        int r = json_write_finish(&l->out);
        if (r == 0)
                r = send_line(o, &l->bytes);
        buf_done(&l->bytes);
        return r;
}

void operation_put_time(struct json_write *w, const char *key, struct moment at)
{
        char text[CLOCK_RFC3339_SIZE];
        at.nsec = 0;
        clock_format_rfc3339(at, text);
        json_write_string(w, key, text);
}

void operation_put_tally(struct json_write *w, const struct deletion_tally *t)
{
        json_write_u64(w, "crashes", t->crashes);
        json_write_u64(w, "blobs", t->blobs);
        json_write_u64(w, "blob_bytes", t->blob_bytes);
        json_write_u64(w, "log_files", t->log_files);
        json_write_u64(w, "log_bytes", t->log_bytes);
}

void operation_put_survey(struct json_write *w, const struct index_survey *s)
{
        const struct deletion_tally t = { .crashes = s->crashes,
                                          .blobs = s->blobs,
                                          .blob_bytes = s->blob_bytes,
                                          .log_files = s->log_files,
                                          .log_bytes = s->log_bytes };
        operation_put_tally(w, &t);
        json_write_bool(w, "dry_run", true);
}

/* ---- the store ---- */

int operation_begin_deletion(struct operation *o, struct deletion **ret)
{
        assert(!o->deletion);
        int r = store_new_deletion(o->operations->config.store, ret);
        if (r < 0)
                return r;
        pthread_mutex_lock(&o->operations->lock);
        deletion_begin(*ret);
        o->deletion = *ret;
        if (o->operations->stopping)
                deletion_stop(*ret);
        pthread_mutex_unlock(&o->operations->lock);
        return 0;
}

int operation_open_to_read(struct operation *o, struct index **ret)
{
        int r = index_open_readonly(o->operations->config.config->data_dir, ret, &o->err);
        return r > 0 ? -EINVAL : r;
}
