/* detritusctl reindex, mirror: the database from the JSON files, and the other way round. */

#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/progress.h"
#include "upkeep/reindex.h"

static void print_reindex(const struct reindex_counts *c, bool json)
{
        static const char as_json[] = "{\"crashes\":%llu,\"crashes_before\":%llu,\"blobs\":%llu,\"log_files\":%llu,"
                                      "\"unreadable\":%llu,\"incomplete\":%llu,\"taken_over\":%s}\n";
        static const char as_text[] = "%llu crashes (%llu before), %llu blobs, %llu log files; %llu JSON files were"
                                      " unreadable, %llu lacked a blob%s\n";
        printf(json ? as_json : as_text, (unsigned long long)c->after.crashes, (unsigned long long)c->before.crashes,
               (unsigned long long)c->after.blobs, (unsigned long long)c->after.log_files,
               (unsigned long long)c->files.unreadable, (unsigned long long)c->files.incomplete,
               json            ? (c->taken_over ? "true" : "false")
               : c->taken_over ? ""
                               : "; the old database could not be read, so no crash is held now");
}

static int run_reindex(const struct ctl *ctl)
{
        struct reindex_counts counts;
        struct error err = { "out of memory" };
        int r = reindex_data_dir(ctl->data_dir, ctl_flag(ctl, "force"), &counts, &err);
        if (r < 0)
                return say_failed("%s", err.text);
        print_reindex(&counts, ctl->json);
        if (r == REINDEX_FEWER)
                return say_failed("nothing was changed, since the files tell of fewer crashes than the database: bring "
                                  "them up to date (detritusctl mirror), or say --force");
        return counts.files.unreadable || counts.files.incomplete ? CTL_FAILED : CTL_OK;
}

static void advance(_unused_ void *userdata, uint64_t done, uint64_t all)
{
        progress_show("crashes", done, all);
}

static void print_mirror(const struct mirror_counts *c, bool json)
{
        static const char as_json[] = "{\"crashes\":%llu,\"written\":%llu,\"removed\":%llu,\"left\":%llu}\n";
        static const char as_text[] = "%llu crashes: %llu files written, %llu removed, %llu not understood and left\n";
        printf(json ? as_json : as_text, (unsigned long long)c->crashes, (unsigned long long)c->written,
               (unsigned long long)c->removed, (unsigned long long)c->left);
}

/* Counted first, since what would be removed may be the only trace of a crash. */
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
        if (r < 0)
                return say_failed("%s", strerror(-r));
        print_mirror(&c, ctl->json);
        return CTL_OK;
}

static int run_mirror(const struct ctl *ctl)
{
        struct offline *o;
        struct error err = { "out of memory" };
        if (offline_open(ctl->data_dir, OFFLINE_DATABASE, &o, &err) < 0)
                return say_failed("%s", err.text);
        int status = mirror_held(ctl, o);
        int r = offline_close(o, true); /* whatever was done, rows and blobs are as they were */
        return r < 0 ? say_failed("%s", strerror(-r)) : status;
}

const struct command reindex_command = {
        .name = "reindex",
        .summary = "make the database anew from the files",
        .description =
                "Makes detritus.db anew from crashes/ and logs/, while no daemon runs. It is built aside and swapped "
                "in; the old one is kept as " REINDEX_KEPT ". What no file tells, such as which crashes are held, is "
                "taken from the old one, if that can be read. Crashes get new ids.",
        .options =
                (const struct command_option[]){
                        { "force", .help = "also when the files tell of fewer crashes than the old database" },
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
        .summary = "make the JSON files anew from the database",
        .description =
                "Writes the JSON files of crashes/by-source that are missing or differ from the database, while no "
                "daemon runs, and removes those of crashes that the database does not have. To keep such crashes, "
                "run detritusctl verify --repair first, which takes them in.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl mirror --dry-run", "count what would be written and removed" },
                        { NULL },
                },
        .flags = COMMAND_YES | COMMAND_DRY_RUN,
        .run = run_mirror,
};
