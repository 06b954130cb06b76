#include "detritusctl/cli/receipt.h"

#include <errno.h>
#include <stdio.h>

#include "detritusctl/cli/control_client.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"

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

/* A request that was refused did nothing. */
static bool tells_anything(struct json_object *answer)
{
        bool any = false;
        for (size_t i = 0; i < ARRAY_LEN(lines); i++)
                any = any || json_object_object_get_ex(answer, lines[i].count, NULL);
        return any;
}

int receipt_print(const struct ctl *ctl, const char *title, struct json_object *answer)
{
        _cleanup_(buf_done) struct buf shown = { 0 };
        if (ctl->json)
                return screen_json(NULL, json_object_to_json_string_ext(answer, JSON_C_TO_STRING_NOSLASHESCAPE));
        if (!tells_anything(answer))
                return 0;
        int r = terminal_line(&shown, title, 0);
        if (r < 0)
                return r;
        printf("%s%.*s%s\n", screen_on(SCREEN_HEAD), (int)shown.len, (const char *)shown.data, screen_off());
        for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
                char size[32] = "";
                if (!json_object_object_get_ex(answer, lines[i].count, NULL))
                        continue;
                if (lines[i].bytes)
                        size_text(ctl_number(answer, lines[i].bytes), size);
                printf("  %-12s %8llu%s%s\n", lines[i].name, (unsigned long long)ctl_number(answer, lines[i].count),
                       *size ? "  " : "", size);
        }
        return ferror(stdout) ? -EIO : 0;
}
