#include "detritusctl/logs/log_print.h"

#include <errno.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/say.h"
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
static int shown_len(const char *install_id)
{
        return screen_is_narrow() && strcspn(install_id, "-") == UUID_FIRST_GROUP ? UUID_FIRST_GROUP
                                                                                  : SOURCE_COMPONENT_MAX;
}

static void put_head(struct buf *out, const struct log_print *p, const struct source *source,
                     const struct log_line *line, struct json_object *object)
{
        char at[CLOCK_RFC3339_SIZE];
        const char *severity = json_read_shown(object, "severity_text") ?: "", *style = severity_style(line->severity);
        clock_format_fixed(line->at, 3, at);
        buf_printf(out, "%s%s %s", p->indent ? p->indent : "", at, style);
        size_t before = out->len;
        terminal_line(out, *severity ? severity : severity_name(line->severity), 16);
        for (size_t n = out->len - before; n < 6; n++)
                buf_append_char(out, ' ');
        if (*style)
                buf_append_str(out, screen_off());
        if (p->with_source)
                buf_printf(out, "%s%s/%.*s%s ", screen_on(SCREEN_DIM), source->project, shown_len(source->install_id),
                           source->install_id, screen_off());
}

/* The body's first line, the attributes, and the other lines of the body below. */
static void put_line(struct buf *out, const struct log_print *p, const struct source *source,
                     const struct log_line *line, struct json_object *object)
{
        const char *body = json_read_shown(object, "body") ?: "", *more = strchr(body, '\n');
        struct json_object *attributes = json_read_member(object, "attributes");
        put_head(out, p, source, line, object);
        terminal_line(out, body, 0);
        if (json_object_is_type(attributes, json_type_object) && json_object_object_length(attributes) > 0) {
                buf_append_char(out, ' ');
                terminal_json(out, json_read_value_shown(attributes));
        }
        buf_append_char(out, '\n');
        if (more && more[1])
                terminal_text(out, more + 1, "        ");
}

static int put_for_people(struct buf *out, const struct log_print *p, const struct source *source,
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
                put_line(out, p, source, line, object);
        } else {
                terminal_line(out, copy, 0);
                buf_append_char(out, '\n');
        }
        return out->error;
}

int log_print(void *userdata, const struct source *source, const struct log_line *line)
{
        const struct log_print *p = userdata;
        _cleanup_(buf_done) struct buf out = { 0 };
        int r = p->json ? log_print_json(&out, source, line->text, line->len) : put_for_people(&out, p, source, line);
        if (r == 0 && p->json)
                r = buf_append_char(&out, '\n');
        return r == 0 && screen_put(&out) == 0 ? 0 : LOG_PRINT_FAILED;
}

void log_print_broken(_unused_ void *userdata, const struct source *source, const char *day, int error)
{
        say_note("%s/%s, %s: %s", source->project, source->install_id, day,
                 error == -EBADMSG  ? "the compressed file is damaged; what can be read of it was read"
                 : error == -ESPIPE ? "the file became shorter; continuing from its end"
                                    : strerror(-error));
}
