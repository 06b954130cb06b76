/* detritusctl verify: prints what upkeep/verify.h finds, one line each, and what upkeep/repair.h did about it. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/control_client.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/operate/verify.h"
#include "detritusctl/screen/progress.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/terminal.h"
#include "protocol/json/json_document.h"
#include "storage/store/offline.h"

struct run {
        bool deep, repair, json;
        struct repair noted;
        uint64_t outcomes[REPAIR_OUTCOMES_], repaired;
};

/* ,"key":"value" of text that may be a file's name. */
static int append_member(struct buf *out, const char *key, const char *value)
{
        _cleanup_(buf_done) struct buf clean = { 0 };
        int r = terminal_line(&clean, value, 0);
        if (r == 0)
                r = buf_append_char(&clean, '\0');
        if (r == 0)
                r = buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", key);
        return r == 0 ? json_document_append_string(out, (const char *)clean.data) : r;
}

static int print_json(const struct verify_finding *f, const char *outcome, const char *how)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        int r = buf_append_char(&line, '{');
        if (r == 0)
                r = append_member(&line, "finding", verify_kind_name(f->kind));
        if (r == 0)
                r = append_member(&line, "what", f->what);
        if (r == 0)
                r = append_member(&line, "problem", f->problem);
        if (r == 0 && f->id > 0)
                r = buf_printf(&line, ",\"id\":%lld", (long long)f->id);
        if (r == 0 && outcome)
                r = append_member(&line, "repair", outcome);
        if (r == 0 && outcome)
                r = append_member(&line, "how", how);
        if (r == 0)
                r = buf_append_str(&line, "}\n");
        if (r == 0 && fwrite(line.data, 1, line.len, stdout) != line.len)
                r = -EIO;
        return r;
}

/* A line; on a terminal as wide as most, one for the path, one for what is wrong, and one for what became of it. */
static int print_text(const struct verify_finding *f, const char *outcome, const char *how)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        bool narrow = screen_is_narrow();
        static const char below[] = "\n                 ";
        const char *style = outcome && strcmp(outcome, "left") != 0 ? screen_on(SCREEN_WARN) : screen_on(SCREEN_BAD);
        int r = buf_printf(&line, "%s%-16s%s ", style, verify_kind_name(f->kind), screen_off());
        if (r == 0)
                r = terminal_line(&line, f->what, 0);
        if (r == 0)
                r = buf_append_str(&line, narrow ? below : ": ");
        if (r == 0)
                r = terminal_line(&line, f->problem, 0);
        if (r == 0 && outcome)
                r = narrow ? buf_printf(&line, "%s%s: %s", below, outcome, how)
                           : buf_printf(&line, " [%s: %s]", outcome, how);
        if (r == 0)
                r = buf_append_char(&line, '\n');
        if (r == 0 && fwrite(line.data, 1, line.len, stdout) != line.len)
                r = -EIO;
        return r;
}

/* With --repair a finding is printed together with what became of it. */
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
        run->outcomes[outcome]++;
        run->repaired++;
        (void)(run->json ? print_json : print_text)(finding, repair_outcome_name(outcome), how);
}

static void advance(_unused_ void *userdata, const char *step, uint64_t done, uint64_t all)
{
        progress_show(step, done, all);
}

static void print_totals(const struct run *run, const struct verify_counts *c)
{
        char blobs[32], logs[32];
        if (run->json) {
                printf("{\"findings\":%llu,\"crashes\":%llu,\"blobs\":%llu,\"blob_bytes\":%llu,\"log_files\":%llu,"
                       "\"log_bytes\":%llu,\"log_lines\":%llu,\"deep\":%s,\"daemon\":%s",
                       (unsigned long long)c->findings, (unsigned long long)c->crashes, (unsigned long long)c->blobs,
                       (unsigned long long)c->blob_bytes, (unsigned long long)c->log_files,
                       (unsigned long long)c->log_bytes, (unsigned long long)c->log_lines, run->deep ? "true" : "false",
                       c->daemon ? "true" : "false");
                for (unsigned i = 0; run->repair && i < REPAIR_OUTCOMES_; i++)
                        printf(",\"%s\":%llu", repair_outcome_name(i), (unsigned long long)run->outcomes[i]);
                puts("}");
                return;
        }
        size_text(c->blob_bytes, blobs);
        size_text(c->log_bytes, logs);
        printf("%llu crash%s, %llu blob%s (%s%s), %llu log file%s (%s", (unsigned long long)c->crashes,
               c->crashes == 1 ? "" : "es", (unsigned long long)c->blobs, c->blobs == 1 ? "" : "s", blobs,
               run->deep ? ", hashed" : "", (unsigned long long)c->log_files, c->log_files == 1 ? "" : "s", logs);
        if (run->deep)
                printf(", %llu line%s parsed", (unsigned long long)c->log_lines, c->log_lines == 1 ? "" : "s");
        if (c->findings == 0)
                puts("): all is well");
        else
                printf("): %llu finding%s", (unsigned long long)c->findings, c->findings == 1 ? "" : "s");
        for (unsigned i = 0, n = 0; run->repair && i < REPAIR_OUTCOMES_; i++) {
                if (run->outcomes[i] > 0)
                        printf("%s%llu %s", n++ ? ", " : "; ", (unsigned long long)run->outcomes[i],
                               repair_outcome_name(i));
        }
        if (c->findings > 0)
                putchar('\n');
}

static int repair_here(struct run *run, const char *data_dir)
{
        struct offline *o;
        struct error err = { "out of memory" };
        int r = offline_open(data_dir, OFFLINE_DATABASE, &o, &err);
        if (r < 0)
                return say_failed("%s", err.text);
        repair_run(&run->noted, o->dir.fd, o->index, false, repaired, run);
        r = offline_close(o, true);
        return r < 0 ? say_failed("%s", strerror(-r)) : CTL_OK;
}

/* Where nothing became of them: at least what was found. */
static void print_noted(struct run *run)
{
        run->repair = false;
        for (size_t i = 0; i < run->noted.n; i++)
                repair_get(&run->noted, i, found, run);
}

static int repair(struct run *run, const struct ctl *ctl)
{
        int status = ctl_daemon_runs(ctl) ? verify_repair_by_daemon(ctl, &run->noted, repaired, run)
                                          : repair_here(run, ctl->data_dir);
        if (status != CTL_OK && run->repaired == 0)
                print_noted(run);
        else if (run->repaired < run->noted.n)
                say_note("%llu more findings were not dealt with; run it again",
                         (unsigned long long)(run->noted.n - run->repaired));
        if (run->noted.dropped > 0)
                status = say_failed("there are more findings than are mended at once; run it again");
        bool wanting = run->outcomes[REPAIR_ASIDE] || run->outcomes[REPAIR_LEFT] || run->outcomes[REPAIR_FAILED];
        return wanting ? CTL_FAILED : status;
}

static int look(struct run *run, const char *data_dir, struct verify_counts *ret)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(closep) int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct error err = { "out of memory" };
        if (fd < 0) {
                return say_failed("cannot open the data directory %s: %s", data_dir, strerror(errno));
        }
        if (index_open_readonly(data_dir, &index, &err) != 0)
                return say_failed("%s", err.text);
        const struct verify_config config = {
                .deep = run->deep, .finding = found, .progress = advance, .userdata = run
        };
        int r = verify_data_dir(fd, index, &config, ret);
        progress_clear();
        return r == 0 ? CTL_OK : say_failed("%s", strerror(-r));
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
                print_noted(run); /* it could not look at everything, so nothing is mended */
        print_totals(run, &counts);
        return status;
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
        .heading = "Prove that nothing is lost; move and restore",
        .summary = "is everything there, whole, and counted right?",
        .description =
                "Compares the database with itself, and each blob, each JSON file and each log file with its row, both "
                "ways. Beside a running daemon, what is on its way in or out is no finding. One line a finding, then "
                "the totals.\n"
                "\n"
                "--repair counts anew what was miscounted, writes JSON files from their rows, gives rows to files that "
                "have none, moves torn ends of log files to <file>.torn, and moves corrupt blobs to corrupt/. It "
                "deletes nothing. A running daemon does this itself, but for log files and files without rows: those "
                "need it to be stopped.\n"
                "\n"
                "The exit status is 0 when all is well, or was mended, else 1.",
        .options =
                (const struct command_option[]){
                        { "deep", .help = "hash every blob and parse every log line, too" },
                        { "repair", .help = "mend what can be mended safely" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl verify --deep", "read every byte" },
                        { "detritusctl --data-dir /backup verify", "a backup is a data directory" },
                        { NULL },
                },
        .run = run_verify,
};
