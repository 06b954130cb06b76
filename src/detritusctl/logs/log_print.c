#include "detritusctl/logs/log_print.h"

#include <errno.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/logs/log_fields.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_document.h"
#include "protocol/json/json_read.h"
#include "protocol/json/json_write.h"

#define UUID_FIRST_GROUP 8

/* OTLP: each severity has four numbers. */
static const char *severity_name(int number)
{
        static const char *const names[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL" };
        return number >= 1 && number <= 24 ? names[(number - 1) / 4] : "-";
}

#define DEPTH_MAX 1000 /* above what limits.otlp_depth allows */
#define DEPTH_SHOWN 32 /* deeper lines are shown as they are stored */

/* An object, and nothing else on the line. */
static bool is_json_object(const char *text, size_t len)
{
        _cleanup_(buf_done) struct buf unused = { 0 };
        struct error err;
        return len > 0 && text[0] == '{' && json_document_check(text, len, DEPTH_MAX, &unused, &err) == 0;
}

int log_print_json(struct buf *out, const struct source *source, const char *text, size_t len)
{
        struct json_write w = json_write_to(out);
        json_write_object(&w, NULL);
        json_write_string(&w, "project", source->project);
        json_write_string(&w, "install_id", source->install_id);
        if (!is_json_object(text, len)) {
                _cleanup_(buf_done) struct buf string = { 0 };
                if (terminal_json_string(&string, text, len) < 0)
                        return -ENOMEM;
                json_write_raw(&w, "text", string.data, string.len);
                json_write_end(&w);
                return json_write_finish(&w);
        }
        /* The line's own members follow as they are, with its last brace. */
        _cleanup_(freep) char *rest = strndup(text + 1, len - 1);
        if (!rest)
                return -ENOMEM;
        if (rest[strspn(rest, " \t\r")] != '}')
                buf_append_char(out, ',');
        return terminal_json(out, rest);
}

/* OTLP: 13 and above are warnings, 17 and above errors. */
static const char *severity_style(int number)
{
        return number >= 17                ? screen_on(SCREEN_BAD)
               : number >= 13              ? screen_on(SCREEN_WARN)
               : number >= 9 || number < 1 ? ""
                                           : screen_on(SCREEN_DIM);
}

/* On a narrow terminal the text needs the room: a UUID's first group is enough to tell installations apart. */
static size_t shown_len(const char *install_id)
{
        return screen_is_narrow() && strcspn(install_id, "-") == UUID_FIRST_GROUP ? UUID_FIRST_GROUP
                                                                                  : SOURCE_COMPONENT_MAX;
}

/* What is shown of a line, as text; attributes NULL: it has none. */
struct shown {
        const char *severity, *body, *attributes;
};

static void put_head(struct buf *out, const struct log_print *p, const struct source *source,
                     const struct log_line *line, const char *severity)
{
        char at[CLOCK_RFC3339_SIZE];
        const char *style = severity_style(line->severity);
        clock_format_fixed(line->at, 3, at);
        if (p->indent)
                buf_append_str(out, p->indent);
        buf_append_str(out, at);
        buf_append_char(out, ' ');
        buf_append_str(out, style);
        size_t before = out->len;
        terminal_line(out, *severity ? severity : severity_name(line->severity), 16);
        for (size_t n = out->len - before; n < 6; n++)
                buf_append_char(out, ' ');
        if (*style)
                buf_append_str(out, screen_off());
        if (!p->with_source)
                return;
        buf_append_str(out, screen_on(SCREEN_DIM));
        buf_append_str(out, source->project);
        buf_append_char(out, '/');
        buf_append(out, source->install_id, strnlen(source->install_id, shown_len(source->install_id)));
        buf_append_str(out, screen_off());
        buf_append_char(out, ' ');
}

/* The body's first line, the attributes, and the other lines of the body below. */
static void put_line(struct buf *out, const struct log_print *p, const struct source *source,
                     const struct log_line *line, const struct shown *shown)
{
        const char *more = strchr(shown->body, '\n');
        put_head(out, p, source, line, shown->severity);
        terminal_line(out, shown->body, 0);
        if (shown->attributes) {
                buf_append_char(out, ' ');
                terminal_json(out, shown->attributes);
        }
        buf_append_char(out, '\n');
        if (more && more[1])
                terminal_text(out, more + 1, "        ");
}

static const char *attributes_shown(struct json_object *attributes)
{
        return json_object_is_type(attributes, json_type_object) && json_object_object_length(attributes) > 0
                       ? json_read_value_shown(attributes)
                       : NULL;
}

static int put_parsed(struct buf *out, const struct log_print *p, const struct source *source,
                      const struct log_line *line)
{
        _cleanup_(freep) char *copy = calloc(line->len + 1, 1);
        _cleanup_(json_read_freep) struct json_object *object = NULL;
        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; i < line->len; i++)
                copy[i] = line->text[i] ? line->text[i] : '\1'; /* so that a hole is seen */
        int r = json_read_parse(copy, line->len, DEPTH_SHOWN, &object);
        if (r < 0)
                return r;
        if (json_object_is_type(object, json_type_object)) {
                const struct shown shown = {
                        .severity = json_read_shown(object, "severity_text") ?: "",
                        .body = json_read_shown(object, "body") ?: "",
                        .attributes = attributes_shown(json_read_member(object, "attributes")),
                };
                put_line(out, p, source, line, &shown);
        } else {
                terminal_line(out, copy, 0);
                buf_append_char(out, '\n');
        }
        return out->error;
}

/* A value as text, appended with a NUL. Strings without an escape are that already; others are parsed alone. 0 or
 * -errno; 1: it is not JSON. */
static int take_text(struct buf *texts, const struct log_field *f)
{
        _cleanup_(json_read_freep) struct json_object *value = NULL;
        if (!f->escapes && f->len >= 2 && f->text[0] == '"') {
                buf_append(texts, f->text + 1, f->len - 2);
                return buf_append_char(texts, '\0');
        }
        if (!f->escapes && f->len > 2 && f->text[0] == '{') {
                buf_append(texts, f->text, f->len);
                return buf_append_char(texts, '\0');
        }
        int r = f->text ? json_read_parse(f->text, f->len, DEPTH_SHOWN, &value) : 0;
        if (r != 0)
                return r;
        buf_append_str(texts, json_read_value_shown(value) ?: "");
        return buf_append_char(texts, '\0');
}

/* Most lines are as the daemon writes them. */
static int put_for_people(struct log_print *p, const struct source *source, const struct log_line *line)
{
        struct buf *out = &p->out, *texts = &p->texts;
        struct log_fields f;
        if (!log_fields_find(line->text, line->len, DEPTH_SHOWN - 1, &f))
                return put_parsed(out, p, source, line);
        buf_clear(texts);
        int r = take_text(texts, &f.severity_text);
        size_t body = texts->len;
        if (r == 0)
                r = take_text(texts, &f.body);
        size_t attributes = texts->len;
        bool has_attributes = f.attributes.len > 2 && f.attributes.text[0] == '{';
        if (r == 0 && has_attributes)
                r = take_text(texts, &f.attributes);
        if (r > 0)
                return put_parsed(out, p, source, line);
        if (r < 0)
                return r;
        const char *text = (const char *)texts->data;
        put_line(out, p, source, line, &(struct shown){ text, text + body, has_attributes ? text + attributes : NULL });
        return out->error;
}

void log_print_done(struct log_print *p)
{
        buf_done(&p->out);
        buf_done(&p->texts);
}

int log_print(void *userdata, const struct source *source, const struct log_line *line)
{
        struct log_print *p = userdata;
        buf_clear(&p->out);
        int r = p->json ? log_print_json(&p->out, source, line->text, line->len) : put_for_people(p, source, line);
        if (r == 0 && p->json)
                r = buf_append_char(&p->out, '\n');
        return r == 0 && screen_put(&p->out) == 0 ? 0 : LOG_PRINT_FAILED;
}
