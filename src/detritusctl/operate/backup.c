/* detritusctl backup, restore, import: one data directory into another. Each ends with a verification of what it made. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/operate/verify.h"
#include "detritusctl/screen/progress.h"
#include "detritusctl/screen/size.h"
#include "storage/store/offline.h"
#include "upkeep/backup.h"
#include "upkeep/import.h"

static void advance(_unused_ void *userdata, const char *step, uint64_t done, uint64_t all)
{
        progress_show(step, done, all);
}

static void print_counts(const struct backup_counts *c, bool json)
{
        char bytes[32];
        static const char as_json[] =
                "{\"crashes\":%llu,\"blobs\":%llu,\"log_files\":%llu,\"linked\":%llu,\"copied\":%llu,\"kept\":%llu,"
                "\"removed\":%llu,\"deleted_meanwhile\":%llu,\"lost\":%llu,\"bytes_copied\":%llu}\n";
        static const char as_text[] =
                "%llu crashes, %llu blobs, %llu log files: %llu files linked, %llu copied, %llu kept;"
                " %llu removed, which the original no longer has";
        printf(json ? as_json : as_text, (unsigned long long)c->rows.crashes, (unsigned long long)c->rows.blobs,
               (unsigned long long)c->rows.log_files, (unsigned long long)c->linked, (unsigned long long)c->copied,
               (unsigned long long)c->kept, (unsigned long long)c->removed, (unsigned long long)c->deleted_meanwhile,
               (unsigned long long)c->lost, (unsigned long long)c->bytes);
        if (json)
                return;
        size_text(c->bytes, bytes);
        printf("; %s copied\n", bytes);
        if (c->deleted_meanwhile > 0 || c->lost > 0)
                printf("blobs deleted meanwhile: %llu; LOST: %llu\n", (unsigned long long)c->deleted_meanwhile,
                       (unsigned long long)c->lost);
}

static int copy(const struct ctl *ctl, const struct backup_config *config, uint64_t *ret_lost)
{
        struct backup_counts counts;
        struct error err = { "out of memory" };
        int r = backup_run(config, &counts, &err);
        progress_clear();
        if (r < 0)
                return say_failed("%s", err.text);
        print_counts(&counts, ctl->json);
        *ret_lost = counts.lost;
        return CTL_OK;
}

/* An older copy may still have them, so that the copy is whole: the original is not. */
static int tell_lost(int status, const char *from, uint64_t lost)
{
        if (lost == 0)
                return status;
        return say_failed("%llu blobs are missing, or of a wrong length, in %s", (unsigned long long)lost, from);
}

/* What a kill left is put right first, as a start would: the journal's lines are not in the log files yet. In use: a
 * daemon did that. */
static int tidy_up(const char *data_dir)
{
        struct offline *o;
        struct error err = { "out of memory" };
        int r = offline_open(data_dir, OFFLINE_DATABASE, &o, &err);
        if (r == -EBUSY)
                return CTL_OK;
        if (r == 0)
                r = offline_close(o, true);
        else
                return say_failed("%s", err.text);
        return r < 0 ? say_failed("%s", strerror(-r)) : CTL_OK;
}

static int run_backup(const struct ctl *ctl)
{
        const char *to = ctl->arguments[0];
        const struct backup_config config = {
                .from = ctl->data_dir, .to = to, .link = !ctl_flag(ctl, "copy"), .progress = advance
        };
        uint64_t lost = 0;
        int status = tidy_up(ctl->data_dir);
        if (status == CTL_OK)
                status = copy(ctl, &config, &lost);
        if (status == CTL_OK)
                status = verify_directory(to, ctl_flag(ctl, "deep"), ctl->json);
        return tell_lost(status, ctl->data_dir, lost);
}

static int run_restore(const struct ctl *ctl)
{
        const struct backup_config config = {
                .from = ctl->arguments[0], .to = ctl->data_dir, .restore = true, .progress = advance
        };
        uint64_t lost = 0;
        int status = copy(ctl, &config, &lost);
        if (status == CTL_OK)
                status = tidy_up(ctl->data_dir);
        if (status == CTL_OK)
                status = verify_directory(ctl->data_dir, ctl_flag(ctl, "deep"), ctl->json);
        return tell_lost(status, config.from, lost);
}

static void left(_unused_ void *userdata, const char *path, const char *why)
{
        progress_clear();
        say_note("not taken: %s: %s", path, why);
}

static void print_import(const struct import_counts *c, bool json)
{
        static const char as_json[] =
                "{\"crashes\":%llu,\"crashes_known\":%llu,\"crashes_left\":%llu,\"blobs\":%llu,\"log_files\":%llu,"
                "\"log_files_known\":%llu,\"log_files_left\":%llu,\"log_lines\":%llu,\"details\":%s}\n";
        static const char as_text[] =
                "%llu crashes taken, %llu known, %llu left; %llu blobs; %llu log files taken, %llu known, %llu left;"
                " %llu lines added to days that were here%s\n";
        printf(json ? as_json : as_text, (unsigned long long)c->crashes, (unsigned long long)c->crashes_known,
               (unsigned long long)c->crashes_left, (unsigned long long)c->blobs, (unsigned long long)c->log_files,
               (unsigned long long)c->log_files_known, (unsigned long long)c->log_files_left,
               (unsigned long long)c->log_lines, json ? (c->details ? "true" : "false") : "");
}

static int run_import(const struct ctl *ctl)
{
        const struct import_config config = { .from = ctl->arguments[0], .left = left, .progress = advance };
        struct import_counts counts;
        struct offline *o;
        struct error err = { "out of memory" };
        if (offline_open(ctl->data_dir, OFFLINE_INDEX, &o, &err) < 0)
                return say_failed("%s", err.text);
        int r = import_run(&config, o, &counts, &err);
        progress_clear();
        int closed = offline_close(o, r == 0);
        if (r < 0 || closed < 0)
                return say_failed("%s", r < 0 ? err.text : strerror(-closed));
        print_import(&counts, ctl->json);
        return counts.crashes_left || counts.log_files_left ? CTL_FAILED : CTL_OK;
}

const struct command backup_command = {
        .name = "backup",
        .summary = "copy the data directory, beside a running daemon too",
        .arguments = "TO",
        .min_arguments = 1,
        .max_arguments = 1,
        .complete = COMPLETE_DIRECTORY,
        .description =
                "TO becomes a data directory itself, as the original is at one moment, and is verified at the end. On "
                "the same file system blobs are hard links: quick, and safe from deletion, but not from a broken "
                "disk. Made again into the same TO, only what is new is copied, and what is gone from the original "
                "is removed; cut short, TO still holds a whole copy.\n"
                "\n"
                "Configuration and tokens are not part of it.",
        .options =
                (const struct command_option[]){
                        { "copy", .help = "no hard links: TO shares no file with the data directory" },
                        { "deep", .help = "hash every blob and parse every log line at the end" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl --data-dir /var/lib/detritus backup /mnt/backup", "every night" },
                        { NULL },
                },
        .run = run_backup,
};

const struct command restore_command = {
        .name = "restore",
        .summary = "put a backup into an empty data directory",
        .arguments = "FROM",
        .min_arguments = 1,
        .max_arguments = 1,
        .complete = COMPLETE_DIRECTORY,
        .description = "Copies the backup FROM into the data directory, which must be empty or an unfinished restore, "
                       "and verifies it. Nothing is shared with the backup.",
        .options =
                (const struct command_option[]){
                        { "deep", .help = "hash every blob and parse every log line at the end" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl --data-dir /var/lib/detritus restore /mnt/backup",
                          "before the daemon is started" },
                        { NULL },
                },
        .run = run_restore,
};

const struct command import_command = {
        .name = "import",
        .summary = "take in another data directory",
        .arguments = "FROM",
        .min_arguments = 1,
        .max_arguments = 1,
        .complete = COMPLETE_DIRECTORY,
        .description = "Takes crashes and log lines of another data directory, also one of detritus-server, into this "
                       "one, while no daemon runs on either. What is here already is recognised, so it can be run "
                       "again, also after it was cut short. What is damaged there is not taken, and told.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl import /var/lib/detritus-old", "what another server has stored" },
                        { NULL },
                },
        .run = run_import,
};
