#include "detritusctl/logs/log_print.h"

#include <errno.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_document.h"

#define UUID_FIRST_GROUP 8

/* OTLP: SeverityNumber comes in fours. */
static const char *severity_name(int number)
{
        static const char *const names[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL" };
        return number >= 1 && number <= 24 ? names[(number - 1) / 4] : "-";
}

#define DEPTH_MAX 1000 /* above what limits.otlp_depth allows */

/* With its brackets, alone on the line. */
static bool is_json_object(const char *text, size_t len)
{
        _cleanup_(buf_done) struct buf unused = { 0 };
        struct error err;
        return len > 0 && text[0] == '{' && json_document_check(text, len, DEPTH_MAX, &unused, &err) == 0;
}

int log_print_json(struct buf *out, const struct source *source, const char *text, size_t len)
{
        int r = buf_printf(out, "{\"project\":\"%s\",\"install_id\":\"%s\"", source->project, source->install_id);
        if (r < 0)
                return r;
        if (!is_json_object(text, len)) {
                r = buf_append_str(out, ",\"text\":");
                if (r == 0)
                        r = terminal_json_string(out, text, len);
                return r == 0 ? buf_append_char(out, '}') : r;
        }
        _cleanup_(freep) char *rest = strndup(text + 1, len - 1);
        if (!rest)
                return -ENOMEM;
        if (rest[strspn(rest, " \t\r")] != '}')
                r = buf_append_char(out, ',');
        return r == 0 ? terminal_json(out, rest) : r;
}

/* A value as people read it: strings without quotes. */
static const char *shown(struct json_object *value)
{
        if (!value)
                return "";
        return json_object_is_type(value, json_type_string)
                       ? json_object_get_string(value)
                       : json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* OTLP: from 13 on a warning, from 17 on an error. */
static const char *severity_style(int number)
{
        return number >= 17                ? screen_on(SCREEN_BAD)
               : number >= 13              ? screen_on(SCREEN_WARN)
               : number >= 9 || number < 1 ? ""
                                           : screen_on(SCREEN_DIM);
}

/* A narrow terminal's line is for the text: a UUID's first group is enough to tell installations apart. */
static int shown_len(const char *install_id)
{
        return screen_is_narrow() && strcspn(install_id, "-") == UUID_FIRST_GROUP ? UUID_FIRST_GROUP
                                                                                  : SOURCE_COMPONENT_MAX;
}

static int put_head(struct buf *out, const struct log_print *p, const struct source *source,
                    const struct log_line *line, struct json_object *object)
{
        char at[CLOCK_RFC3339_SIZE];
        const char *severity = shown(json_object_object_get(object, "severity_text"));
        clock_format_fixed(line->at, 3, at);
        const char *style = severity_style(line->severity);
        int r = buf_printf(out, "%s%s %s", p->indent ? p->indent : "", at, style);
        size_t before = out->len;
        if (r == 0)
                r = terminal_line(out, *severity ? severity : severity_name(line->severity), 16);
        while (r == 0 && out->len - before < 6)
                r = buf_append_char(out, ' ');
        if (r == 0 && *style)
                r = buf_append_str(out, screen_off());
        if (r == 0 && p->with_source)
                r = buf_printf(out, "%s%s/%.*s%s ", screen_on(SCREEN_DIM), source->project,
                               shown_len(source->install_id), source->install_id, screen_off());
        return r;
}

/* The body's first line, the attributes, and the rest of the body below. */
static int put_line(struct buf *out, const struct log_print *p, const struct source *source,
                    const struct log_line *line, struct json_object *object)
{
        const char *body = shown(json_object_object_get(object, "body"));
        struct json_object *attributes = json_object_object_get(object, "attributes");
        const char *more = strchr(body, '\n');
        int r = put_head(out, p, source, line, object);
        if (r == 0)
                r = terminal_line(out, body, 0);
        if (r == 0 && json_object_is_type(attributes, json_type_object) && json_object_object_length(attributes) > 0) {
                r = buf_append_char(out, ' ');
                if (r == 0)
                        r = terminal_json(out, shown(attributes));
        }
        if (r == 0)
                r = buf_append_char(out, '\n');
        return r == 0 && more && more[1] ? terminal_text(out, more + 1, "        ") : r;
}

static int put_for_people(struct buf *out, const struct log_print *p, const struct source *source,
                          const struct log_line *line)
{
        _cleanup_(freep) char *copy = calloc(line->len + 1, 1);
        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; i < line->len; i++)
                copy[i] = line->text[i] ? line->text[i] : '\1'; /* a hole is to be seen */
        struct json_object *object = json_tokener_parse(copy);
        int r = 0;
        if (json_object_is_type(object, json_type_object)) {
                r = put_line(out, p, source, line, object);
        } else {
                r = terminal_line(out, copy, 0);
                if (r == 0)
                        r = buf_append_char(out, '\n');
        }
        json_object_put(object);
        return r;
}

int log_print(void *userdata, const struct source *source, const struct log_line *line)
{
        const struct log_print *p = userdata;
        _cleanup_(buf_done) struct buf out = { 0 };
        int r = p->json ? log_print_json(&out, source, line->text, line->len) : put_for_people(&out, p, source, line);
        if (r == 0 && p->json)
                r = buf_append_char(&out, '\n');
        if (r < 0 || fwrite(out.data, 1, out.len, stdout) != out.len)
                return LOG_PRINT_FAILED;
        return 0;
}

void log_print_broken(_unused_ void *userdata, const struct source *source, const char *day, int error)
{
        say_note("%s/%s, %s: %s", source->project, source->install_id, day,
                 error == -EBADMSG  ? "the compressed file is broken"
                 : error == -ESPIPE ? "the file got shorter; going on from its end"
                                    : strerror(-error));
}
