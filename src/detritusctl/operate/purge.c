/* detritusctl purge: everything of a project, of a source, or up to a moment, with a receipt. What it would delete is
 * counted on a read-only connection first, and shown before it asks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/control_client.h"
#include "detritusctl/cli/receipt.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/size.h"
#include "protocol/json/json_document.h"
#include "storage/index/index_operate.h"
#include "util/text/time_arg.h"

#define AFTER_ANY_DAY "9999-99-99"

struct purge {
        struct index_scope scope;
        char day[CLOCK_DAY_SIZE];
        char before[CLOCK_RFC3339_SIZE]; /* "": up to now */
};

static int read_purge(const struct ctl *ctl, struct purge *p)
{
        const char *before = ctl_value(ctl, "before");
        struct moment now = clock_now();
        p->scope = (struct index_scope){ .project = ctl_value(ctl, "project"),
                                         .install_id = ctl_value(ctl, "install"),
                                         .held_too = ctl_flag(ctl, "held"),
                                         .day_before = p->day };
        if (before && time_arg_moment(before, now, &p->scope.received_before) != 0)
                return say_usage("--before: \"%s\" is no time: 2026-05-19T08:30:00Z, 2026-05-19, 30d", before);
        if (before) {
                clock_format_day(p->scope.received_before, p->day);
                clock_format_rfc3339(p->scope.received_before, p->before);
        } else {
                p->scope.received_before = (struct moment){ .sec = now.sec + 1 };
                memcpy(p->day, AFTER_ANY_DAY, sizeof(p->day));
        }
        return CTL_OK;
}

static int survey(const struct ctl *ctl, const struct purge *p, struct index_survey *ret)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct error err = { "out of memory" };
        int r = index_open_readonly(ctl->data_dir, &index, &err);
        if (r != 0)
                return say_failed("%s", err.text);
        r = index_survey(index, &p->scope, ret);
        return r == 0 ? CTL_OK : say_failed("%s", strerror(-r));
}

static int append_member(struct buf *out, const char *key, const char *value)
{
        int r = buf_printf(out, ",\"%s\":", key);
        return r == 0 ? json_document_append_string(out, value) : r;
}

/* NUL-terminated. */
static int make_request(const struct purge *p, struct buf *out)
{
        int r = buf_append_str(out, "{\"op\":\"purge\"");
        if (r == 0)
                r = append_member(out, "project", p->scope.project);
        if (r == 0 && p->scope.install_id)
                r = append_member(out, "install_id", p->scope.install_id);
        if (r == 0 && *p->before)
                r = append_member(out, "before", p->before);
        if (r == 0 && p->scope.held_too)
                r = buf_append_str(out, ",\"held\":true");
        return r == 0 ? buf_append(out, "}", 2) : r;
}

static void name_it(const struct purge *p, char ret[256])
{
        snprintf(ret, 256, "%s%s%s%s%s", p->scope.project, p->scope.install_id ? "/" : "",
                 p->scope.install_id ? p->scope.install_id : "", *p->before ? " before " : "", p->before);
}

/* A receipt that is kept says whose and when. */
static void sign(struct json_object *answer, const struct purge *p)
{
        char at[CLOCK_RFC3339_SIZE];
        struct moment now = clock_now();
        now.nsec = 0;
        clock_format_rfc3339(now, at);
        const char *install = p->scope.install_id;
        json_object_object_add(answer, "project", json_object_new_string(p->scope.project));
        json_object_object_add(answer, "install_id", install ? json_object_new_string(install) : NULL);
        json_object_object_add(answer, "before", *p->before ? json_object_new_string(p->before) : NULL);
        json_object_object_add(answer, "at", json_object_new_string(at));
}

static int print_survey(const struct ctl *ctl, const struct purge *p, const char *name, const struct index_survey *s)
{
        char text[512], title[300];
        snprintf(text, sizeof(text),
                 "{\"dry_run\":true,\"crashes\":%llu,\"blobs\":%llu,\"blob_bytes\":%llu,\"log_files\":%llu,"
                 "\"log_bytes\":%llu,\"held_kept\":%llu}",
                 (unsigned long long)s->crashes, (unsigned long long)s->blobs, (unsigned long long)s->blob_bytes,
                 (unsigned long long)s->log_files, (unsigned long long)s->log_bytes, (unsigned long long)s->held);
        snprintf(title, sizeof(title), "would be purged: %s", name);
        _cleanup_(json_object_putp) struct json_object *answer = json_tokener_parse(text);
        if (!answer)
                return -ENOMEM;
        sign(answer, p);
        return receipt_print(ctl, title, answer);
}

static int ask(const struct ctl *ctl, const char *name, const struct index_survey *s)
{
        char blobs[32], logs[32];
        size_text(s->blob_bytes, blobs);
        size_text(s->log_bytes, logs);
        return confirm(ctl, "delete all of %s: %llu crash%s (%s), %llu log file%s (%s)", name,
                       (unsigned long long)s->crashes, s->crashes == 1 ? "" : "es", blobs,
                       (unsigned long long)s->log_files, s->log_files == 1 ? "" : "s", logs);
}

static int purge(const struct ctl *ctl, const struct purge *p, const char *name)
{
        _cleanup_(buf_done) struct buf request = { 0 };
        _cleanup_(json_object_putp) struct json_object *answer = NULL;
        char title[300];
        int r = make_request(p, &request);
        if (r < 0)
                return say_failed("%s", strerror(-r));
        const struct ctl_operation operation = { .request = (const char *)request.data };
        int status = ctl_operate(ctl, &operation, &answer);
        if (!answer)
                return status;
        snprintf(title, sizeof(title), "purged: %s", name);
        sign(answer, p);
        r = receipt_print(ctl, title, answer);
        if (status == CTL_OK && ctl_number(answer, "crashes") + ctl_number(answer, "log_files") +
                                                ctl_number(answer, "sources") + ctl_number(answer, "held_kept") ==
                                        0)
                say_note("nothing of %s was there", name);
        return r < 0 ? say_failed("%s", strerror(-r)) : status;
}

static int run(const struct ctl *ctl)
{
        struct purge p = { 0 };
        struct index_survey found = { 0 };
        char name[256];
        int status = read_purge(ctl, &p);
        name_it(&p, name);
        if (status == CTL_OK && (ctl->dry_run || !ctl->yes))
                status = survey(ctl, &p, &found);
        if (status != CTL_OK)
                return status;
        if (ctl->dry_run)
                return print_survey(ctl, &p, name, &found) < 0 ? CTL_FAILED : CTL_OK;
        status = ask(ctl, name, &found);
        return status == CTL_OK ? purge(ctl, &p, name) : status;
}

const struct command purge_command = {
        .name = "purge",
        .summary = "delete all of a project or of a source, with a receipt",
        .description =
                "Deletes crashes, their JSON files, the blobs that no other crash uses, and log files; and the sources "
                "that have nothing left. With --before, crashes received before that moment, and the log files of "
                "whole days before it. Held crashes stay without --held. Uploads go on meanwhile; what comes in "
                "after the beginning stays. Ended midway, it goes on from there when it is called again.",
        .options =
                (const struct command_option[]){
                        { "project", "PROJECT", "whose", .required = true },
                        { "install", "ID", "of this installation alone" },
                        { "before", "TIME", "received before: 2026-05-19T08:30:00Z, 2026-05-19, 30d (ago)" },
                        { "held", .help = "held crashes, too" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl purge --project acme --dry-run", "how much is that?" },
                        { "detritusctl purge --project acme --install 8f14e45f-ceea-4e6a-9f2b-000000000001 --yes "
                          "--json",
                          "a user asked for it; keep the receipt" },
                        { "detritusctl purge --project acme --before 30d", "what is older than thirty days" },
                        { NULL },
                },
        .flags = COMMAND_YES | COMMAND_DRY_RUN,
        .run = run,
};
