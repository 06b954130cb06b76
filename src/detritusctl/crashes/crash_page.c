#include "detritusctl/crashes/crash_page.h"
#include "detritusctl/screen/size.h"

#include <errno.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/terminal.h"
#include "util/cleanup.h"

static const char *text_at(struct json_object *object, const char *key)
{
        struct json_object *value = json_object_object_get(object, key);
        return value ? json_object_get_string(value) : NULL;
}

/* "  name          value"; nothing for what there is not. */
static int field(struct buf *out, const char *name, const char *value)
{
        if (!value)
                return 0;
        int r = buf_printf(out, "  %-18s", name);
        if (r == 0)
                r = terminal_line(out, value, 0);
        return r == 0 ? buf_append_char(out, '\n') : r;
}

/* A moment, for people with how long ago it was. */
static int time_field(struct buf *out, const char *name, const char *value)
{
        char ago[SCREEN_TIME_SIZE], shown[2 * SCREEN_TIME_SIZE];
        if (!value || !screen_is_terminal())
                return field(out, name, value);
        screen_time(value, ago);
        snprintf(shown, sizeof(shown), "%.30s  (%s)", value, ago);
        return field(out, name, shown);
}

static int title(struct buf *out, const char *text)
{
        return buf_printf(out, "\n%s%s%s\n", screen_on(SCREEN_HEAD), text, screen_off());
}

static int head(struct buf *out, struct json_object *crash)
{
        static const char *const keys[] = {
                "project",     "install_id", "platform", "version",       "kind", "crashed_at",
                "received_at", "git_sha",    "profile",  "target_triple", "held",
        };
        int r = buf_printf(out, "%sCrash %s%s\n", screen_on(SCREEN_HEAD), text_at(crash, "id"), screen_off());
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++)
                r = (strstr(keys[i], "_at") ? time_field : field)(out, keys[i], text_at(crash, keys[i]));
        return r;
}

/* A dump or an attachment. */
static int file(struct buf *out, struct json_object *object)
{
        static const char *const keys[] = { "key", "filename", "content_type", "content_encoding", "sha256", "path" };
        char size[32], shown[64];
        int r = 0;
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++)
                r = field(out, keys[i], text_at(object, keys[i]));
        uint64_t len = json_object_get_uint64(json_object_object_get(object, "len"));
        size_text(len, size);
        snprintf(shown, sizeof(shown), "%llu bytes (%s)", (unsigned long long)len, size);
        return r == 0 ? field(out, "size", len < 1024 ? size : shown) : r;
}

static int attachments(struct buf *out, struct json_object *array)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < json_object_array_length(array); i++) {
                char name[32];
                snprintf(name, sizeof(name), "Attachment %zu", i + 1);
                r = title(out, name);
                if (r == 0)
                        r = file(out, json_object_array_get_idx(array, i));
        }
        return r;
}

static int section(struct buf *out, const char *name, const char *text)
{
        if (!text)
                return 0;
        int r = title(out, name);
        return r == 0 ? terminal_text(out, text, "  ") : r;
}

static int page(struct buf *out, struct json_object *crash)
{
        struct json_object *context = json_object_object_get(crash, "context");
        int r = head(out, crash);
        if (r == 0)
                r = title(out, "Dump");
        if (r == 0)
                r = file(out, json_object_object_get(crash, "dump"));
        if (r == 0)
                r = attachments(out, json_object_object_get(crash, "attachments"));
        if (r == 0)
                r = section(out, "Panic", text_at(crash, "panic_text"));
        if (r == 0)
                r = section(out, "Context",
                            json_object_to_json_string_ext(context, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                                            JSON_C_TO_STRING_NOSLASHESCAPE));
        return r;
}

int crash_page_print(_unused_ void *userdata, const char *json)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        struct json_object *crash = json_tokener_parse(json);
        if (!crash)
                return -ENOMEM;
        int r = page(&out, crash);
        json_object_put(crash);
        if (r < 0)
                return r;
        return fwrite(out.data, 1, out.len, stdout) == out.len ? 0 : -EIO;
}
