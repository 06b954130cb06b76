#include "protocol/json/json_write.h"

#include <assert.h>
#include <string.h>

#include "protocol/json/json_text.h"

struct json_write json_write_to(struct buf *out)
{
        return (struct json_write){ .out = out };
}

/* What stands before a value: a comma, its key. */
static void begin(struct json_write *w, const char *key)
{
        if (w->depth == 0) {
                assert(!key);
                return;
        }
        unsigned top = w->depth - 1;
        assert(w->object[top] == (key != NULL));
        if (w->filled[top])
                buf_append_char(w->out, ',');
        w->filled[top] = true;
        if (key) {
                buf_append_char(w->out, '"');
                buf_append_str(w->out, key);
                buf_append(w->out, "\":", 2);
        }
}

static void open(struct json_write *w, const char *key, bool object)
{
        begin(w, key);
        assert(w->depth < JSON_WRITE_DEPTH_MAX);
        w->object[w->depth] = object;
        w->filled[w->depth++] = false;
        buf_append_char(w->out, object ? '{' : '[');
}

void json_write_object(struct json_write *w, const char *key)
{
        open(w, key, true);
}

void json_write_array(struct json_write *w, const char *key)
{
        open(w, key, false);
}

void json_write_end(struct json_write *w)
{
        assert(w->depth > 0);
        buf_append_char(w->out, w->object[--w->depth] ? '}' : ']');
}

/* One value by json_text.h, whose error is kept in the buffer. */
#define WRITE(w, key, call, ...)                                                                                       \
        do {                                                                                                           \
                begin((w), (key));                                                                                     \
                struct json_text text = { .buf = (w)->out, .end_max = SIZE_MAX, .error = (w)->out->error };            \
                call(&text, __VA_ARGS__);                                                                              \
                (w)->out->error = text.error;                                                                          \
        } while (0)

void json_write_string(struct json_write *w, const char *key, const char *value)
{
        if (!value)
                json_write_null(w, key);
        else
                json_write_text(w, key, value, strlen(value));
}

void json_write_text(struct json_write *w, const char *key, const void *data, size_t len)
{
        WRITE(w, key, json_text_string, data, len);
}

void json_write_hex(struct json_write *w, const char *key, const void *data, size_t len)
{
        WRITE(w, key, json_text_hex, data, len);
}

void json_write_u64(struct json_write *w, const char *key, uint64_t value)
{
        char digits[JSON_U64_SIZE];
        json_write_raw(w, key, digits, (size_t)(json_put_u64((uint8_t *)digits, value) - (uint8_t *)digits));
}

void json_write_i64(struct json_write *w, const char *key, int64_t value)
{
        WRITE(w, key, json_text_i64, value);
}

void json_write_double(struct json_write *w, const char *key, double value)
{
        WRITE(w, key, json_text_double, value);
}

void json_write_bool(struct json_write *w, const char *key, bool value)
{
        begin(w, key);
        buf_append_str(w->out, value ? "true" : "false");
}

void json_write_null(struct json_write *w, const char *key)
{
        begin(w, key);
        buf_append_str(w->out, "null");
}

void json_write_raw(struct json_write *w, const char *key, const void *json, size_t len)
{
        begin(w, key);
        buf_append(w->out, json, len);
}

int json_write_finish(const struct json_write *w)
{
        assert(w->depth == 0);
        return w->out->error;
}
