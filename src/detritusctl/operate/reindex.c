/* detritusctl reindex and mirror: rebuild the database from the files, and the JSON files from the database. */

#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/progress.h"
#include "detritusctl/screen/screen.h"
#include "protocol/json/json_write.h"
#include "upkeep/reindex.h"

static int print_reindex(const struct reindex_counts *c, bool json)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        if (!json) {
                buf_printf(&line,
                           "%llu crashes (%llu before), %llu blobs, %llu log files; %llu JSON files were unreadable, "
                           "%llu lacked a blob%s\n",
                           (unsigned long long)c->after.crashes, (unsigned long long)c->before.crashes,
                           (unsigned long long)c->after.blobs, (unsigned long long)c->after.log_files,
                           (unsigned long long)c->files.unreadable, (unsigned long long)c->files.incomplete,
                           c->taken_over ? "" : "; the old database could not be read, so no crash is held now");
                return screen_put(&line);
        }
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_u64(&w, "crashes", c->after.crashes);
        json_write_u64(&w, "crashes_before", c->before.crashes);
        json_write_u64(&w, "blobs", c->after.blobs);
        json_write_u64(&w, "log_files", c->after.log_files);
        json_write_u64(&w, "unreadable", c->files.unreadable);
        json_write_u64(&w, "incomplete", c->files.incomplete);
        json_write_bool(&w, "taken_over", c->taken_over);
        json_write_end(&w);
        return screen_json_line(&line);
}

static int run_reindex(const struct ctl *ctl)
{
        struct reindex_counts counts;
        struct error err = { "out of memory" };
        int r = reindex_data_dir(ctl->data_dir, ctl_flag(ctl, "force"), &counts, &err);
        if (r < 0)
                return say_failed("%s", err.text);
        int printed = print_reindex(&counts, ctl->json);
        if (printed < 0)
                return say_error("print the counts", printed);
        if (r == REINDEX_FEWER)
                return say_failed(
                        "nothing was changed: there are fewer crashes in the files than in the database; write the "
                        "missing files with detritusctl mirror first, or use --force");
        return counts.files.unreadable || counts.files.incomplete ? CTL_FAILED : CTL_OK;
}

static void advance(_unused_ void *userdata, uint64_t done, uint64_t all)
{
        progress_show("crashes", done, all);
}

static int print_mirror(const struct mirror_counts *c, bool json)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        if (!json) {
                buf_printf(&line, "%llu crashes: %llu files written, %llu removed, %llu not understood and left\n",
                           (unsigned long long)c->crashes, (unsigned long long)c->written,
                           (unsigned long long)c->removed, (unsigned long long)c->left);
                return screen_put(&line);
        }
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_u64(&w, "crashes", c->crashes);
        json_write_u64(&w, "written", c->written);
        json_write_u64(&w, "removed", c->removed);
        json_write_u64(&w, "left", c->left);
        json_write_end(&w);
        return screen_json_line(&line);
}

/* Counted first: a file that would be removed may be the only trace of a crash. */
static int mirror_held(const struct ctl *ctl, struct offline *o)
{
        struct mirror_counts c;
        int r = reindex_mirror(o, true, advance, NULL, &c);
        progress_clear();
        if (r == 0 && !ctl->dry_run && c.removed > 0 &&
            confirm(ctl, "remove %llu JSON files of crashes that the database does not have",
                    (unsigned long long)c.removed) != CTL_OK)
                return CTL_FAILED;
        if (r == 0 && !ctl->dry_run)
                r = reindex_mirror(o, false, advance, NULL, &c);
        progress_clear();
        if (r == 0)
                r = print_mirror(&c, ctl->json);
        return r == 0 ? CTL_OK : say_error("rewrite the JSON files", r);
}

static int run_mirror(const struct ctl *ctl)
{
        struct offline *o;
        struct error err = { "out of memory" };
        if (offline_open(ctl->data_dir, OFFLINE_DATABASE, &o, &err) < 0)
                return say_failed("%s", err.text);
        int status = mirror_held(ctl, o);
        int r = offline_close(o, true); /* whatever was done, rows and blobs did not change */
        return r < 0 ? say_error("close the data directory", r) : status;
}

const struct command reindex_command = {
        .name = "reindex",
        .summary = "rebuild the database from the files",
        .description =
                "Rebuilds detritus.db from crashes/ and logs/, while no daemon runs. The new database is built next "
                "to the "
                "old one and swapped in; the old one is kept as " REINDEX_KEPT ". What the files do not say, such as "
                "which crashes are held, comes from the old database if that can be read. Crashes get new ids.",
        .options =
                (const struct command_option[]){
                        { "force", .help = "even when there are fewer crashes in the files than in the database" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl reindex", "when verify says that the database is damaged" },
                        { NULL },
                },
        .run = run_reindex,
};

const struct command mirror_command = {
        .name = "mirror",
        .summary = "rewrite the JSON files from the database",
        .description = "Writes the JSON files in crashes/by-source that are missing or differ from the database, while "
                       "no daemon runs, and removes those of crashes that the database does not have. To keep such "
                       "crashes, run detritusctl verify --repair first, which indexes them.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl mirror --dry-run", "count what would be written and removed" },
                        { NULL },
                },
        .flags = COMMAND_YES | COMMAND_DRY_RUN,
        .run = run_mirror,
};
