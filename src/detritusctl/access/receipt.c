#include "detritusctl/access/receipt.h"

#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_read.h"

static const struct {
        const char *count, *bytes, *name;
} lines[] = {
        { "crashes", NULL, "crashes" },
        { "blobs", "blob_bytes", "blobs" },
        { "log_files", "log_bytes", "log files" },
        { "log_files_compressed", NULL, "compressed" },
        { "sources", NULL, "sources" },
        { "held_kept", NULL, "held, kept" },
};

/* A request that was refused has none of them. */
static bool has_counts(struct json_object *answer)
{
        bool any = false;
        for (size_t i = 0; i < ARRAY_LEN(lines); i++)
                any = any || json_read_has(answer, lines[i].count);
        return any;
}

static void put_line(struct buf *out, struct json_object *answer, size_t i)
{
        char size[32] = "";
        if (lines[i].bytes)
                size_text(json_read_u64(answer, lines[i].bytes), size);
        buf_printf(out, "  %-12s %8llu%s%s\n", lines[i].name, (unsigned long long)json_read_u64(answer, lines[i].count),
                   *size ? "  " : "", size);
}

int receipt_print(const struct ctl *ctl, const char *title, struct json_object *answer)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        if (ctl->json)
                return screen_json(NULL, json_read_value_shown(answer));
        if (!has_counts(answer))
                return 0;
        buf_append_str(&out, screen_on(SCREEN_HEAD));
        terminal_line(&out, title, 0);
        buf_printf(&out, "%s\n", screen_off());
        for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
                if (json_read_has(answer, lines[i].count))
                        put_line(&out, answer, i);
        }
        return screen_put(&out);
}
