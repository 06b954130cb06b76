#include "detritusctl/crashes/crash_page.h"

#include <json.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/row.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_read.h"

/* "  name          value"; nothing when there is no value. */
static void put_field(struct buf *out, const char *name, const char *value)
{
        if (!value)
                return;
        buf_printf(out, "  %-18s", name);
        terminal_line(out, value, 0);
        buf_append_char(out, '\n');
}

/* A time; for people also how long ago that was. */
static void put_time(struct buf *out, const char *name, const char *value)
{
        char ago[SCREEN_TIME_SIZE], shown[2 * SCREEN_TIME_SIZE];
        if (!value || !screen_is_terminal()) {
                put_field(out, name, value);
                return;
        }
        screen_time(value, ago);
        snprintf(shown, sizeof(shown), "%.30s  (%s)", value, ago);
        put_field(out, name, shown);
}

static void put_title(struct buf *out, const char *text)
{
        buf_printf(out, "\n%s%s%s\n", screen_on(SCREEN_HEAD), text, screen_off());
}

static void put_head(struct buf *out, struct json_object *crash)
{
        static const char *const keys[] = {
                "project",     "install_id", "platform", "version",       "kind", "crashed_at",
                "received_at", "git_sha",    "profile",  "target_triple", "held",
        };
        buf_printf(out, "%sCrash %s%s\n", screen_on(SCREEN_HEAD), json_read_shown(crash, "id") ?: "", screen_off());
        for (size_t i = 0; i < ARRAY_LEN(keys); i++)
                (strstr(keys[i], "_at") ? put_time : put_field)(out, keys[i], json_read_shown(crash, keys[i]));
}

/* A dump or an attachment. */
static void put_file(struct buf *out, struct json_object *file)
{
        static const char *const keys[] = { "key", "filename", "content_type", "content_encoding", "sha256", "path" };
        char size[32], shown[64];
        for (size_t i = 0; i < ARRAY_LEN(keys); i++)
                put_field(out, keys[i], json_read_shown(file, keys[i]));
        uint64_t len = json_read_u64(file, "len");
        size_text(len, size);
        snprintf(shown, sizeof(shown), "%llu bytes (%s)", (unsigned long long)len, size);
        put_field(out, "size", len < 1024 ? size : shown);
}

static void put_attachments(struct buf *out, struct json_object *array)
{
        for (size_t i = 0; i < json_read_count(array); i++) {
                char name[32];
                snprintf(name, sizeof(name), "Attachment %zu", i + 1);
                put_title(out, name);
                put_file(out, json_read_item(array, i));
        }
}

static void put_section(struct buf *out, const char *name, const char *text)
{
        if (!text)
                return;
        put_title(out, name);
        terminal_text(out, text, "  ");
}

static void put_page(struct buf *out, struct json_object *crash)
{
        struct json_object *context = json_read_member(crash, "context");
        put_head(out, crash);
        put_title(out, "Dump");
        put_file(out, json_read_member(crash, "dump"));
        put_attachments(out, json_read_member(crash, "attachments"));
        put_section(out, "Panic", json_read_shown(crash, "panic_text"));
        put_section(out, "Context",
                    json_object_to_json_string_ext(context, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                                    JSON_C_TO_STRING_NOSLASHESCAPE));
}

int crash_page_print(_unused_ void *userdata, const char *json)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        _cleanup_(json_read_freep) struct json_object *crash = NULL;
        int r = row_parse(json, &crash);
        if (r < 0)
                return r;
        put_page(&out, crash);
        return screen_put(&out);
}
