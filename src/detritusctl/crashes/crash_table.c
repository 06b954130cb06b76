#include "detritusctl/crashes/crash_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/row.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "protocol/json/json_read.h"

enum { ID, TIME, PROJECT, INSTALL, VERSION, KIND, SIZE, ATTACHMENTS, PANIC, N_COLUMNS };

static const struct table_column columns[N_COLUMNS] = {
        [ID] = { "ID", .right = true },
        [TIME] = { "CRASHED" },
        [PROJECT] = { "PROJECT" },
        [INSTALL] = { "INSTALL" },
        [VERSION] = { "VERSION", .spare = 1 },
        [KIND] = { "KIND", .spare = 3 },
        [SIZE] = { "SIZE", .right = true, .spare = 2 },
        [ATTACHMENTS] = { "FILES", .right = true, .spare = 4 },
        [PANIC] = { "PANIC" },
};

int crash_table_new(struct table **ret)
{
        return table_new(columns, N_COLUMNS, ret);
}

/* Rust prints the place first and the message on the next line ("thread 'main' panicked at src/x.rs:1:2:"). We show
 * both on one line, without the words that are always the same. Changes `text` in place. */
static const char *panic_line(char *text)
{
        char *at = strncmp(text, "thread '", 8) == 0 ? strstr(text, "' panicked at ") : NULL;
        char *newline = at ? strchr(at, '\n') : NULL;
        if (newline && newline[-1] == ':')
                *newline = ' ';
        return at ? at + strlen("' panicked at ") : text;
}

static int add(struct table *table, struct json_object *crash)
{
        static const char *const keys[N_COLUMNS] = {
                "id", "crashed_at", "project", "install_id", "version", "kind", "dump_len", "attachments", "panic_text",
        };
        const char *cells[N_COLUMNS];
        char size[32], time[SCREEN_TIME_SIZE];
        for (size_t i = 0; i < N_COLUMNS; i++)
                cells[i] = json_read_shown(crash, keys[i]) ?: "";
        size_text(json_read_u64(crash, keys[SIZE]), size);
        screen_time(cells[TIME], time);
        _cleanup_(freep) char *panic = strdup(cells[PANIC]);
        if (!panic)
                return -ENOMEM;
        cells[PANIC] = panic_line(panic);
        cells[SIZE] = size;
        cells[TIME] = time;
        return table_add(table, cells);
}

int crash_table_add(void *table, const char *json)
{
        _cleanup_(json_read_freep) struct json_object *crash = NULL;
        int r = row_parse(json, &crash);
        return r == 0 ? add(table, crash) : r;
}
