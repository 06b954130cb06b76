/* detritusctl backup, restore and import: copy one data directory into another. backup and restore verify the copy at
 * the end. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/operate/verify.h"
#include "detritusctl/screen/progress.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "protocol/json/json_write.h"
#include "storage/store/offline.h"
#include "upkeep/backup.h"
#include "upkeep/import.h"

static void advance(_unused_ void *userdata, const char *step, uint64_t done, uint64_t all)
{
        progress_show(step, done, all);
}

static void put_counts_json(struct buf *out, const struct backup_counts *c)
{
        struct json_write w = json_write_to(out);
        json_write_object(&w, NULL);
        json_write_u64(&w, "crashes", c->rows.crashes);
        json_write_u64(&w, "blobs", c->rows.blobs);
        json_write_u64(&w, "log_files", c->rows.log_files);
        json_write_u64(&w, "linked", c->linked);
        json_write_u64(&w, "copied", c->copied);
        json_write_u64(&w, "kept", c->kept);
        json_write_u64(&w, "removed", c->removed);
        json_write_u64(&w, "deleted_meanwhile", c->deleted_meanwhile);
        json_write_u64(&w, "left", c->left);
        json_write_u64(&w, "lost", c->lost);
        json_write_u64(&w, "bytes_copied", c->bytes);
        json_write_end(&w);
        buf_append_char(out, '\n');
}

static void put_counts(struct buf *out, const struct backup_counts *c)
{
        char bytes[32];
        size_text(c->bytes, bytes);
        buf_printf(out,
                   "%llu crashes, %llu blobs, %llu log files: %llu files linked, %llu copied, %llu kept; %llu "
                   "removed, which the original no longer has; %s copied\n",
                   (unsigned long long)c->rows.crashes, (unsigned long long)c->rows.blobs,
                   (unsigned long long)c->rows.log_files, (unsigned long long)c->linked, (unsigned long long)c->copied,
                   (unsigned long long)c->kept, (unsigned long long)c->removed, bytes);
        if (c->deleted_meanwhile > 0 || c->lost > 0)
                buf_printf(out, "blobs deleted meanwhile: %llu; LOST: %llu\n", (unsigned long long)c->deleted_meanwhile,
                           (unsigned long long)c->lost);
        if (c->left > 0)
                buf_printf(out, "NOT COPIED: %llu\n", (unsigned long long)c->left);
}

static void not_copied(_unused_ void *userdata, const char *path, const char *why)
{
        progress_clear();
        say_note("not copied: %s: %s", path, why);
}

static int copy(const struct ctl *ctl, const struct backup_config *config, struct backup_counts *ret)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        struct error err = { "out of memory" };
        int r = backup_run(config, ret, &err);
        progress_clear();
        if (r < 0)
                return say_failed("%s", err.text);
        (ctl->json ? put_counts_json : put_counts)(&out, ret);
        r = screen_put(&out);
        return r == 0 ? CTL_OK : say_error("print the counts", r);
}

/* The copy may be complete all the same, from an older run; the original is not. */
static int report_lost(int status, const char *from, const struct backup_counts *counts)
{
        if (counts->lost == 0)
                return counts->left > 0 && status == CTL_OK ? CTL_FAILED : status;
        return say_failed("%llu blobs are missing or have the wrong length in %s; run detritusctl verify there",
                          (unsigned long long)counts->lost, from);
}

/* After a kill the journal has lines that are not in the log files yet; a start would write them, and so does this.
 * When the directory is in use, a daemon did so. */
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
        return r < 0 ? say_error("close the data directory", r) : CTL_OK;
}

static int run_backup(const struct ctl *ctl)
{
        const char *to = ctl->arguments[0];
        const struct backup_config config = {
                .from = ctl->data_dir, .to = to, .link = !ctl_flag(ctl, "copy"), .left = not_copied, .progress = advance
        };
        struct backup_counts counts = { 0 };
        int status = tidy_up(ctl->data_dir);
        if (status == CTL_OK)
                status = copy(ctl, &config, &counts);
        if (status == CTL_OK)
                status = verify_directory(to, ctl_flag(ctl, "deep"), ctl->json);
        return report_lost(status, ctl->data_dir, &counts);
}

static int run_restore(const struct ctl *ctl)
{
        const struct backup_config config = {
                .from = ctl->arguments[0], .to = ctl->data_dir, .restore = true, .left = not_copied, .progress = advance
        };
        struct backup_counts counts = { 0 };
        int status = copy(ctl, &config, &counts);
        if (status == CTL_OK)
                status = tidy_up(ctl->data_dir);
        if (status == CTL_OK)
                status = verify_directory(ctl->data_dir, ctl_flag(ctl, "deep"), ctl->json);
        return report_lost(status, config.from, &counts);
}

static void left(_unused_ void *userdata, const char *path, const char *why)
{
        progress_clear();
        say_note("not imported: %s: %s", path, why);
}

static void put_import_json(struct buf *out, const struct import_counts *c)
{
        struct json_write w = json_write_to(out);
        json_write_object(&w, NULL);
        json_write_u64(&w, "crashes", c->crashes);
        json_write_u64(&w, "crashes_known", c->crashes_known);
        json_write_u64(&w, "crashes_left", c->crashes_left);
        json_write_u64(&w, "blobs", c->blobs);
        json_write_u64(&w, "log_files", c->log_files);
        json_write_u64(&w, "log_files_known", c->log_files_known);
        json_write_u64(&w, "log_files_left", c->log_files_left);
        json_write_u64(&w, "others_left", c->others_left);
        json_write_u64(&w, "log_lines", c->log_lines);
        json_write_bool(&w, "details", c->details);
        json_write_end(&w);
        buf_append_char(out, '\n');
}

static void put_import(struct buf *out, const struct import_counts *c)
{
        buf_printf(out,
                   "%llu crashes imported, %llu known, %llu left; %llu blobs; %llu log files imported, %llu known, "
                   "%llu left; %llu lines added to existing days; %llu other things left\n",
                   (unsigned long long)c->crashes, (unsigned long long)c->crashes_known,
                   (unsigned long long)c->crashes_left, (unsigned long long)c->blobs, (unsigned long long)c->log_files,
                   (unsigned long long)c->log_files_known, (unsigned long long)c->log_files_left,
                   (unsigned long long)c->log_lines, (unsigned long long)c->others_left);
}

static int run_import(const struct ctl *ctl)
{
        const struct import_config config = { .from = ctl->arguments[0], .left = left, .progress = advance };
        _cleanup_(buf_done) struct buf out = { 0 };
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
        (ctl->json ? put_import_json : put_import)(&out, &counts);
        r = screen_put(&out);
        if (r < 0)
                return say_error("print the counts", r);
        return counts.crashes_left || counts.log_files_left || counts.others_left ? CTL_FAILED : CTL_OK;
}

const struct command backup_command = {
        .name = "backup",
        .summary = "copy the data directory, even while a daemon runs",
        .arguments = "TO",
        .min_arguments = 1,
        .max_arguments = 1,
        .complete = COMPLETE_DIRECTORY,
        .description =
                "TO becomes a data directory of its own, a snapshot of the original, and is verified at the end. On "
                "the same file system blobs are hard links: quick, and safe from deletion, but not from a failing "
                "disk. A further backup into the same TO copies only what is new, and removes what the original no "
                "longer has. When it is interrupted, TO still holds a complete copy.\n"
                "\n"
                "Configuration and tokens are not included.",
        .options =
                (const struct command_option[]){
                        { "copy", .help = "make copies, no hard links: TO shares no file with the original" },
                        { "deep", .help = "hash every blob and parse every log line when verifying" },
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
        .summary = "copy a backup into an empty data directory",
        .arguments = "FROM",
        .min_arguments = 1,
        .max_arguments = 1,
        .complete = COMPLETE_DIRECTORY,
        .description = "Copies the backup FROM into the data directory, which must be empty or an unfinished restore, "
                       "and verifies it. No file is shared with the backup.",
        .options =
                (const struct command_option[]){
                        { "deep", .help = "hash every blob and parse every log line when verifying" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl --data-dir /var/lib/detritus restore /mnt/backup", "before the daemon starts" },
                        { NULL },
                },
        .run = run_restore,
};

const struct command import_command = {
        .name = "import",
        .summary = "add the contents of another data directory",
        .arguments = "FROM",
        .min_arguments = 1,
        .max_arguments = 1,
        .complete = COMPLETE_DIRECTORY,
        .description =
                "Adds the crashes and log lines of another data directory, which may be one of detritus-server, to "
                "this one, while no daemon runs on either. What is here already is recognised, so it can be run "
                "again, for example after an interruption. Damaged and unreadable files, and what is odd, such as a "
                "symbolic link or a FIFO, are named, counted and left; then the exit status is 1.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl import /var/lib/detritus-old", "add what another server has stored" },
                        { NULL },
                },
        .run = run_import,
};
