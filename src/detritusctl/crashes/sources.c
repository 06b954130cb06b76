/* detritusctl sources: who sends logs and crashes. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/names.h"
#include "detritusctl/access/open.h"
#include "detritusctl/access/paging.h"
#include "detritusctl/access/row.h"
#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/table.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_read.h"
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
        _cleanup_(json_read_freep) struct json_object *source = NULL;
        int r = row_parse(json, &source);
        if (r < 0)
                return r;
        for (size_t i = 0; i < N_COLUMNS; i++)
                cells[i] = json_read_shown(source, keys[i]) ?: "";
        screen_time(cells[SEEN], seen);
        size_text(json_read_u64(source, "log_bytes"), size);
        cells[SEEN] = seen;
        cells[BYTES] = size;
        return table_add(table, cells);
}

static int list(const struct ctl *ctl)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(table_freep) struct table *table = NULL;
        struct index_page page = { 0 };
        struct names names;
        uint64_t limit = LIMIT_DEFAULT;
        const char *text = ctl_value(ctl, "limit"), *cursor = ctl_value(ctl, "after");
        int status = text ? arg_count("--limit", text, INT_MAX, &limit) : CTL_OK;
        if (status == CTL_OK && cursor)
                status = paging_cursor(cursor, &page.after);
        if (status == CTL_OK)
                status = names_find(ctl->data_dir, ctl_value(ctl, "project"), NULL, &names);
        if (status == CTL_OK)
                status = open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        page.max = limit;
        int r = ctl->json ? 0 : table_new(columns, N_COLUMNS, &table);
        if (r == 0)
                r = index_list_sources(index, *names.project ? names.project : NULL, &page,
                                       ctl->json ? screen_json : add_row, table);
        if (r == 0 && table)
                r = table_finish(table);
        if (r < 0)
                return say_error("read the database", r);
        fflush(stdout);
        paging_say_more(&page, "source");
        return CTL_OK;
}

/* ---- show ---- */

static void put_field(struct buf *out, const char *name, const char *value)
{
        buf_printf(out, "  %-18s", name);
        terminal_line(out, value && *value ? value : "-", 0);
        buf_append_char(out, '\n');
}

static void put_crashes(struct buf *out, struct json_object *crashes)
{
        size_t n = json_read_count(crashes);
        if (n > 0)
                buf_append_str(out, "\nNewest crashes\n");
        for (size_t i = 0; i < n; i++) {
                struct json_object *crash = json_read_item(crashes, i);
                buf_printf(out, "  %6s  %.19sZ  ", json_read_shown(crash, "id") ?: "",
                           json_read_shown(crash, "crashed_at") ?: "");
                terminal_line(out, json_read_shown(crash, "version") ?: "", 20);
                buf_append_str(out, "  ");
                terminal_line(out, json_read_shown(crash, "panic_text") ?: "", 60);
                buf_append_char(out, '\n');
        }
}

static void put_log_files(struct buf *out, struct json_object *files)
{
        size_t n = json_read_count(files);
        if (n > 0)
                buf_append_str(out, "\nLogs\n");
        for (size_t i = 0; i < n && i < LOG_DAYS_SHOWN; i++) {
                struct json_object *file = json_read_item(files, i);
                char size[32];
                size_text(json_read_u64(file, "bytes"), size);
                buf_printf(out, "  %s  %12s  %s lines%s\n", json_read_shown(file, "day") ?: "", size,
                           json_read_shown(file, "lines") ?: "?",
                           json_read_bool(file, "compressed") ? ", compressed" : "");
        }
        if (n > LOG_DAYS_SHOWN)
                buf_printf(out, "  and %zu more days\n", n - LOG_DAYS_SHOWN);
}

static void put_page(struct buf *out, struct json_object *source)
{
        static const char *const keys[] = {
                "project", "install_id", "platform", "version", "first_seen_at", "last_seen_at", "crashes",
        };
        buf_printf(out, "Source %s\n", json_read_shown(source, "id") ?: "");
        for (size_t i = 0; i < ARRAY_LEN(keys); i++)
                put_field(out, keys[i], json_read_shown(source, keys[i]));
        put_crashes(out, json_read_member(source, "newest_crashes"));
        put_log_files(out, json_read_member(source, "log_files"));
}

static int print_page(_unused_ void *userdata, const char *json)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        _cleanup_(json_read_freep) struct json_object *source = NULL;
        int r = row_parse(json, &source);
        if (r < 0)
                return r;
        put_page(&out, source);
        return screen_put(&out);
}

/* By "<project>/<install_id>", or the latter alone. */
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
        int64_t id = arg_id(what);
        int status = open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        index_json_cb print = ctl->json ? screen_json : print_page;
        int r = id >= 0 ? index_show_source(index, id, print, NULL) : -ENOENT;
        if (r == -ENOENT) {
                r = find_by_name(index, what, &id);
                struct names names;
                if (r == -ENOENT) { /* its beginning, or another case? */
                        status = names_find(ctl->data_dir, NULL, what, &names);
                        if (status != CTL_OK)
                                return status;
                        r = find_by_name(index, names.install_id, &id);
                }
                if (r == 0)
                        r = index_show_source(index, id, print, NULL);
        }
        if (r == -ENOENT)
                return say_failed("there is no source %s", what);
        if (r == -ENOTUNIQ)
                return say_failed("several projects have this source; name it as PROJECT/%s", what);
        return r == 0 ? CTL_OK : say_error("read the database", r);
}

/* ---- the command ---- */

static int run(const struct ctl *ctl)
{
        const char *what = ctl->n_arguments > 0 ? ctl->arguments[0] : "list";
        if (ctl->n_arguments < 2 && strcmp(what, "list") == 0)
                return list(ctl);
        if (strcmp(what, "show") != 0)
                return say_usage("sources: \"%s\" is not a subcommand; use sources or sources show SOURCE", what);
        if (ctl->n_arguments < 2)
                return say_usage("sources show: name a source, by id, INSTALL or PROJECT/INSTALL");
        return show(ctl, ctl->arguments[1]);
}

const struct command sources_command = {
        .name = "sources",
        .summary = "list the installations that send logs and crashes",
        .arguments = "[show ID|[PROJECT/]INSTALL]",
        .max_arguments = 2,
        .description =
                "A source is one installation of one project. Lists the sources, the one heard from most recently "
                "first. --after takes last_seen_at and id of a page's last source, with a comma between them. With "
                "show: one source, its newest crashes and its days of logs.",
        .options =
                (const struct command_option[]){
                        { "project", "P", "only of this project" },
                        { "limit", "N", "at most N sources, 0: all [50]", .letter = 'n' },
                        { "after", "CURSOR", "begin after this source: the next page" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl sources --project acme", "those of one project" },
                        { "detritusctl sources show 17", "one source, by id" },
                        { "detritusctl sources show acme/3f2b8c1e-0000-4000-8000-00000000000a", "by name" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = run,
};
