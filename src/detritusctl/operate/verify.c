/* detritusctl verify: prints what upkeep/verify.h finds, and what upkeep/repair.h did about it. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/daemon.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/operate/verify.h"
#include "detritusctl/screen/progress.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_write.h"
#include "storage/store/offline.h"

struct run {
        bool deep, repair, json;
        struct repair noted;
        uint64_t outcomes[REPAIR_OUTCOMES_], repaired;
};

/* Text that may be a file's name. */
static void write_clean(struct json_write *w, const char *key, const char *value)
{
        _cleanup_(buf_done) struct buf clean = { 0 };
        terminal_line(&clean, value, 0);
        json_write_text(w, key, clean.data, clean.len);
}

static int print_json(const struct verify_finding *f, const char *outcome, const char *how)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_string(&w, "finding", verify_kind_name(f->kind));
        write_clean(&w, "what", f->what);
        write_clean(&w, "problem", f->problem);
        if (f->id > 0)
                json_write_i64(&w, "id", f->id);
        if (outcome) {
                json_write_string(&w, "repair", outcome);
                write_clean(&w, "how", how);
        }
        json_write_end(&w);
        return screen_json_line(&line);
}

/* One line. On a terminal of ordinary width: a line for the path, one for what is wrong, and one for what was done
 * about it. */
static int print_text(const struct verify_finding *f, const char *outcome, const char *how)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        bool narrow = screen_is_narrow();
        static const char below[] = "\n                 ";
        const char *style = outcome && strcmp(outcome, "left") != 0 ? screen_on(SCREEN_WARN) : screen_on(SCREEN_BAD);
        buf_printf(&line, "%s%-16s%s ", style, verify_kind_name(f->kind), screen_off());
        terminal_line(&line, f->what, 0);
        buf_append_str(&line, narrow ? below : ": ");
        terminal_line(&line, f->problem, 0);
        if (outcome && narrow)
                buf_printf(&line, "%s%s: %s", below, outcome, how);
        else if (outcome)
                buf_printf(&line, " [%s: %s]", outcome, how);
        buf_append_char(&line, '\n');
        return screen_put(&line);
}

/* With --repair a finding is printed later, together with what was done about it. */
static int found(void *userdata, const struct verify_finding *finding)
{
        struct run *run = userdata;
        progress_clear();
        if (run->repair)
                return repair_note(&run->noted, finding);
        return (run->json ? print_json : print_text)(finding, NULL, NULL);
}

static void repaired(void *userdata, const struct verify_finding *finding, enum repair_outcome outcome, const char *how)
{
        struct run *run = userdata;
        assert(run->repair && outcome < REPAIR_OUTCOMES_);
        run->outcomes[outcome]++;
        run->repaired++;
        (void)(run->json ? print_json : print_text)(finding, repair_outcome_name(outcome), how);
}

static void advance(_unused_ void *userdata, const char *step, uint64_t done, uint64_t all)
{
        progress_show(step, done, all);
}

static int print_totals_json(const struct run *run, const struct verify_counts *c)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_u64(&w, "findings", c->findings);
        json_write_u64(&w, "crashes", c->crashes);
        json_write_u64(&w, "blobs", c->blobs);
        json_write_u64(&w, "blob_bytes", c->blob_bytes);
        json_write_u64(&w, "log_files", c->log_files);
        json_write_u64(&w, "log_bytes", c->log_bytes);
        json_write_u64(&w, "log_lines", c->log_lines);
        json_write_bool(&w, "deep", run->deep);
        json_write_bool(&w, "daemon", c->daemon);
        for (unsigned i = 0; run->repair && i < REPAIR_OUTCOMES_; i++)
                json_write_u64(&w, repair_outcome_name(i), run->outcomes[i]);
        json_write_end(&w);
        return screen_json_line(&line);
}

static const char *s_of(uint64_t n)
{
        return n == 1 ? "" : "s";
}

static int print_totals(const struct run *run, const struct verify_counts *c)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        char blobs[32], logs[32];
        if (run->json)
                return print_totals_json(run, c);
        size_text(c->blob_bytes, blobs);
        size_text(c->log_bytes, logs);
        buf_printf(&line, "%llu crash%s, %llu blob%s (%s%s), %llu log file%s (%s", (unsigned long long)c->crashes,
                   c->crashes == 1 ? "" : "es", (unsigned long long)c->blobs, s_of(c->blobs), blobs,
                   run->deep ? ", hashed" : "", (unsigned long long)c->log_files, s_of(c->log_files), logs);
        if (run->deep)
                buf_printf(&line, ", %llu line%s parsed", (unsigned long long)c->log_lines, s_of(c->log_lines));
        if (c->findings == 0)
                buf_append_str(&line, "): all is well");
        else
                buf_printf(&line, "): %llu finding%s", (unsigned long long)c->findings, s_of(c->findings));
        for (unsigned i = 0, n = 0; run->repair && i < REPAIR_OUTCOMES_; i++) {
                if (run->outcomes[i] > 0)
                        buf_printf(&line, "%s%llu %s", n++ ? ", " : "; ", (unsigned long long)run->outcomes[i],
                                   repair_outcome_name(i));
        }
        buf_append_char(&line, '\n');
        return screen_put(&line);
}

static int repair_here(struct run *run, const char *data_dir)
{
        struct offline *o;
        struct error err = { "out of memory" };
        int r = offline_open(data_dir, OFFLINE_VERIFIED, &o, &err);
        if (r < 0)
                return say_failed("%s", err.text);
        repair_run(&run->noted, o->dir.fd, o->index, false, repaired, run);
        r = offline_close(o, true);
        return r < 0 ? say_error("close the data directory", r) : CTL_OK;
}

/* Prints what was found when nothing could be done about it. */
static void print_noted(struct run *run)
{
        run->repair = false;
        for (size_t i = 0; i < run->noted.n; i++)
                repair_get(&run->noted, i, found, run);
}

static int repair(struct run *run, const struct ctl *ctl)
{
        int status = daemon_answers(ctl->data_dir) ? verify_repair_by_daemon(ctl, &run->noted, repaired, run)
                                                   : repair_here(run, ctl->data_dir);
        if (status != CTL_OK && run->repaired == 0)
                print_noted(run);
        else if (run->repaired < run->noted.n)
                say_note("%llu findings were not repaired; run verify --repair again",
                         (unsigned long long)(run->noted.n - run->repaired));
        if (run->noted.dropped > 0)
                status = say_failed("there are more findings than one run repairs; run verify --repair again");
        bool wanting = run->outcomes[REPAIR_ASIDE] || run->outcomes[REPAIR_LEFT] || run->outcomes[REPAIR_FAILED];
        return wanting ? CTL_FAILED : status;
}

static int look(struct run *run, const char *data_dir, struct verify_counts *ret)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(closep) int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct error err = { "out of memory" };
        if (fd < 0)
                return say_failed("cannot open the data directory %s: %s", data_dir, strerror(errno));
        if (index_open_readonly(data_dir, &index, &err) != 0)
                return say_failed("%s", err.text);
        const struct verify_config config = {
                .deep = run->deep, .finding = found, .progress = advance, .userdata = run
        };
        int r = verify_data_dir(fd, index, &config, ret);
        progress_clear();
        return r == 0 ? CTL_OK : say_error("check the data directory", r);
}

static int verify(struct run *run, const char *data_dir, const struct ctl *ctl)
{
        struct verify_counts counts = { 0 };
        int status = look(run, data_dir, &counts);
        if (status != CTL_OK && counts.findings == 0)
                return status;
        if (status == CTL_OK && counts.findings > 0)
                status = run->repair && ctl ? repair(run, ctl) : CTL_FAILED;
        else if (status != CTL_OK && run->repair)
                print_noted(run); /* it could not look at everything, so nothing is repaired */
        int r = print_totals(run, &counts);
        return r == 0 ? status : say_error("print the totals", r);
}

int verify_directory(const char *data_dir, bool deep, bool json)
{
        struct run run = { .deep = deep, .json = json };
        return verify(&run, data_dir, NULL);
}

static int run_verify(const struct ctl *ctl)
{
        struct run run = { .deep = ctl_flag(ctl, "deep"), .repair = ctl_flag(ctl, "repair"), .json = ctl->json };
        int status = verify(&run, ctl->data_dir, ctl);
        repair_done(&run.noted);
        return status;
}

const struct command verify_command = {
        .name = "verify",
        .heading = "Check, back up and restore",
        .summary = "check that everything is there, intact and counted",
        .description =
                "Checks the database, and compares every blob, JSON file and log file with its row, in both "
                "directions. It can run beside a daemon: what is being stored or deleted at the moment is not "
                "reported. Prints one line for each finding, then the totals.\n"
                "\n"
                "--repair corrects counts, writes JSON files from their rows, gives rows to files that have none, "
                "moves torn ends of log files to <file>.torn, and moves corrupt blobs to corrupt/. It deletes no "
                "file. A running daemon does the repairs itself, except those of log files and of files without rows: "
                "stop the daemon for these.\n"
                "\n"
                "The exit status is 0 when nothing is wrong, or everything was repaired, otherwise 1.",
        .options =
                (const struct command_option[]){
                        { "deep", .help = "also hash every blob and parse every log line" },
                        { "repair", .help = "repair what can be repaired safely" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl verify --deep", "read every byte" },
                        { "detritusctl --data-dir /backup verify", "a backup is a data directory too" },
                        { NULL },
                },
        .run = run_verify,
};
