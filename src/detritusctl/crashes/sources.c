/* detritusctl sources: who sends. */

#include <errno.h>
#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/reading.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/table.h"
#include "detritusctl/screen/terminal.h"
#include "storage/index/index_list.h"

#define LIMIT_DEFAULT 50
#define CANDIDATES_MAX 10
#define LOG_DAYS_SHOWN 14

enum { ID, SEEN, PROJECT, INSTALL, CRASHES, DAYS, BYTES, PLATFORM, VERSION, N_COLUMNS };

static const struct table_column columns[N_COLUMNS] = {
        [ID] = { "ID", .right = true },
        [SEEN] = { "SEEN" },
        [PROJECT] = { "PROJECT" },
        [INSTALL] = { "INSTALL" },
        [CRASHES] = { "CRASHES", .right = true },
        [DAYS] = { "LOG DAYS", .right = true, .spare = 3 },
        [BYTES] = { "LOG SIZE", .right = true, .spare = 2 },
        [PLATFORM] = { "PLATFORM", .spare = 1 },
        [VERSION] = { "VERSION" },
};

/* ---- list ---- */

static int add_row(void *table, const char *json)
{
        static const char *const keys[N_COLUMNS] = {
                "id",       "last_seen_at", "project",  "install_id", "crashes",
                "log_days", "log_bytes",    "platform", "version",
        };
        const char *cells[N_COLUMNS];
        char seen[SCREEN_TIME_SIZE], size[32];
        struct json_object *source = json_tokener_parse(json);
        if (!source)
                return -ENOMEM;
        for (size_t i = 0; i < N_COLUMNS; i++)
                cells[i] = reading_text(source, keys[i]);
        screen_time(cells[SEEN], seen);
        size_text(json_object_get_uint64(json_object_object_get(source, "log_bytes")), size);
        cells[SEEN] = seen;
        cells[BYTES] = size;
        int r = table_add(table, cells);
        json_object_put(source);
        return r;
}

static int list(const struct ctl *ctl)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(table_freep) struct table *table = NULL;
        struct index_page page = { 0 };
        uint64_t limit = LIMIT_DEFAULT;
        const char *text = ctl_value(ctl, "limit"), *cursor = ctl_value(ctl, "after");
        int status = text ? reading_count("--limit", text, INT_MAX, &limit) : CTL_OK;
        if (status == CTL_OK && cursor)
                status = reading_cursor(cursor, &page.after);
        if (status == CTL_OK)
                status = reading_open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        page.max = limit;
        int r = ctl->json ? 0 : table_new(columns, N_COLUMNS, &table);
        if (r == 0)
                r = index_list_sources(index, ctl_value(ctl, "project"), &page, ctl->json ? screen_json : add_row,
                                       table);
        if (r == 0 && table)
                r = table_finish(table);
        if (r < 0)
                return reading_failed(r);
        fflush(stdout);
        reading_say_more(&page, "source");
        return CTL_OK;
}

/* ---- show ---- */

static int put_field(struct buf *out, const char *name, const char *value)
{
        int r = buf_printf(out, "  %-18s", name);
        if (r == 0)
                r = terminal_line(out, *value ? value : "-", 0);
        return r == 0 ? buf_append_char(out, '\n') : r;
}

static int put_crashes(struct buf *out, struct json_object *crashes)
{
        size_t n = json_object_array_length(crashes);
        int r = n > 0 ? buf_append_str(out, "\nNewest crashes\n") : 0;
        for (size_t i = 0; r == 0 && i < n; i++) {
                struct json_object *crash = json_object_array_get_idx(crashes, i);
                r = buf_printf(out, "  %6s  %.19sZ  ", reading_text(crash, "id"), reading_text(crash, "crashed_at"));
                if (r == 0)
                        r = terminal_line(out, reading_text(crash, "version"), 20);
                if (r == 0)
                        r = buf_append_str(out, "  ");
                if (r == 0)
                        r = terminal_line(out, reading_text(crash, "panic_text"), 60);
                if (r == 0)
                        r = buf_append_char(out, '\n');
        }
        return r;
}

static int put_log_files(struct buf *out, struct json_object *files)
{
        size_t n = json_object_array_length(files);
        int r = n > 0 ? buf_append_str(out, "\nLogs\n") : 0;
        for (size_t i = 0; r == 0 && i < n && i < LOG_DAYS_SHOWN; i++) {
                struct json_object *file = json_object_array_get_idx(files, i);
                const char *lines = reading_text(file, "lines");
                char size[32];
                size_text(json_object_get_uint64(json_object_object_get(file, "bytes")), size);
                r = buf_printf(out, "  %s  %12s  %s lines%s\n", reading_text(file, "day"), size, *lines ? lines : "?",
                               json_object_get_boolean(json_object_object_get(file, "compressed")) ? ", compressed"
                                                                                                   : "");
        }
        if (r == 0 && n > LOG_DAYS_SHOWN)
                r = buf_printf(out, "  and %zu days more\n", n - LOG_DAYS_SHOWN);
        return r;
}

static int put_page(struct buf *out, struct json_object *source)
{
        static const char *const keys[] = {
                "project", "install_id", "platform", "version", "first_seen_at", "last_seen_at", "crashes",
        };
        int r = buf_printf(out, "Source %s\n", reading_text(source, "id"));
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++)
                r = put_field(out, keys[i], reading_text(source, keys[i]));
        if (r == 0)
                r = put_crashes(out, json_object_object_get(source, "newest_crashes"));
        return r == 0 ? put_log_files(out, json_object_object_get(source, "log_files")) : r;
}

static int print_page(_unused_ void *userdata, const char *json)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        struct json_object *source = json_tokener_parse(json);
        if (!source)
                return -ENOMEM;
        int r = put_page(&out, source);
        json_object_put(source);
        if (r < 0)
                return r;
        return fwrite(out.data, 1, out.len, stdout) == out.len ? 0 : -EIO;
}

/* "<project>/<install_id>", or the latter alone. */
static int find_by_name(struct index *index, const char *what, int64_t *ret_id)
{
        struct source source;
        int64_t ids[CANDIDATES_MAX];
        size_t n = 0;
        const char *slash = strchr(what, '/');
        if (slash && (size_t)(slash - what) >= sizeof(source.project))
                return -ENOENT;
        if (slash)
                snprintf(source.project, sizeof(source.project), "%.*s", (int)(slash - what), what);
        int r = index_find_sources(index, slash ? source.project : NULL, slash ? slash + 1 : what, CANDIDATES_MAX, ids,
                                   &n);
        if (r < 0 || n == 0)
                return r < 0 ? r : -ENOENT;
        *ret_id = ids[0];
        return n == 1 ? 0 : -ENOTUNIQ;
}

static int show(const struct ctl *ctl, const char *what)
{
        _cleanup_(index_freep) struct index *index = NULL;
        int64_t id = reading_id(what);
        int status = reading_open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        index_json_cb print = ctl->json ? screen_json : print_page;
        int r = id >= 0 ? index_show_source(index, id, print, NULL) : -ENOENT;
        if (r == -ENOENT) {
                r = find_by_name(index, what, &id);
                if (r == 0)
                        r = index_show_source(index, id, print, NULL);
        }
        if (r == -ENOENT)
                return say_failed("there is no such source: %s", what);
        if (r == -ENOTUNIQ)
                return say_failed("several projects have such a source; name it as PROJECT/%s", what);
        return r == 0 ? CTL_OK : reading_failed(r);
}

/* ---- the command ---- */

static int run(const struct ctl *ctl)
{
        const char *what = ctl->n_arguments > 0 ? ctl->arguments[0] : "list";
        if (ctl->n_arguments < 2 && strcmp(what, "list") == 0)
                return list(ctl);
        if (strcmp(what, "show") != 0)
                return say_usage("sources does not know \"%s\"", what);
        if (ctl->n_arguments < 2)
                return say_usage("sources show needs a source");
        return show(ctl, ctl->arguments[1]);
}

const struct command sources_command = {
        .name = "sources",
        .summary = "who sends: one installation of one project each",
        .arguments = "[show ID|[PROJECT/]INSTALL]",
        .max_arguments = 2,
        .description =
                "Lists the sources, the one heard from last first; it is last_seen_at and id of a page's last source "
                "with a comma in between that --after takes. With show: one source, its newest crashes and its "
                "days of logs.",
        .options =
                (const struct command_option[]){
                        { "project", "P", "of this project" },
                        { "limit", "N", "at most so many, 0: all [50]", .letter = 'n' },
                        { "after", "CURSOR", "the page behind this place" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl sources --project acme", "one project's" },
                        { "detritusctl sources show 17", "one, by id" },
                        { "detritusctl sources show acme/3f2b8c1e-0000-4000-8000-00000000000a", "by name" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = run,
};
