/* detritusctl purge: deletes everything of a project or of a source, or what came before a moment, and prints a
 * receipt. What it would delete is counted first, on a read-only connection, and shown in the question. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/names.h"
#include "detritusctl/access/open.h"
#include "detritusctl/access/perform.h"
#include "detritusctl/access/receipt.h"
#include "detritusctl/access/row.h"
#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/size.h"
#include "protocol/json/json_read.h"
#include "protocol/json/json_write.h"
#include "storage/index/index_operate.h"

#define AFTER_ANY_DAY "9999-99-99"
#define NAME_SIZE (2 * SOURCE_COMPONENT_MAX + CLOCK_RFC3339_SIZE + 16)

struct purge {
        struct names names;
        struct index_scope scope;
        char day[CLOCK_DAY_SIZE];
        char before[CLOCK_RFC3339_SIZE]; /* "": up to now */
};

static int read_purge(const struct ctl *ctl, struct purge *p)
{
        const char *before = ctl_value(ctl, "before");
        struct moment now = clock_now();
        int found = names_find(ctl->data_dir, ctl_value(ctl, "project"), ctl_value(ctl, "install"), &p->names);
        if (found != CTL_OK)
                return found;
        p->scope = (struct index_scope){ .project = p->names.project,
                                         .install_id = *p->names.install_id ? p->names.install_id : NULL,
                                         .held_too = ctl_flag(ctl, "held"),
                                         .day_before = p->day };
        if (before) {
                int status = arg_moment("--before", before, &p->scope.received_before);
                if (status != CTL_OK)
                        return status;
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
        int status = open_index(ctl, &index);
        if (status != CTL_OK)
                return status;
        int r = index_survey(index, &p->scope, ret);
        return r == 0 ? CTL_OK : say_error("read the database", r);
}

/* NUL-terminated. */
static int make_request(const struct purge *p, struct buf *out)
{
        struct json_write w = json_write_to(out);
        json_write_object(&w, NULL);
        json_write_string(&w, "op", "purge");
        json_write_string(&w, "project", p->scope.project);
        if (p->scope.install_id)
                json_write_string(&w, "install_id", p->scope.install_id);
        if (*p->before)
                json_write_string(&w, "before", p->before);
        if (p->scope.held_too)
                json_write_bool(&w, "held", true);
        json_write_end(&w);
        buf_append_char(out, '\0');
        return json_write_finish(&w);
}

static void name_it(const struct purge *p, char ret[NAME_SIZE])
{
        snprintf(ret, NAME_SIZE, "%s%s%s%s%s", p->scope.project, p->scope.install_id ? "/" : "",
                 p->scope.install_id ? p->scope.install_id : "", *p->before ? " before " : "", p->before);
}

/* People keep receipts, so the receipt says whose data it was, up to when, and when that was done. */
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

/* What a purge would answer. */
static int make_answer(const struct index_survey *s, struct json_object **ret)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        struct json_write w = json_write_to(&text);
        json_write_object(&w, NULL);
        json_write_bool(&w, "dry_run", true);
        json_write_u64(&w, "crashes", s->crashes);
        json_write_u64(&w, "blobs", s->blobs);
        json_write_u64(&w, "blob_bytes", s->blob_bytes);
        json_write_u64(&w, "log_files", s->log_files);
        json_write_u64(&w, "log_bytes", s->log_bytes);
        json_write_u64(&w, "held_kept", s->held);
        json_write_end(&w);
        buf_append_char(&text, '\0');
        int r = json_write_finish(&w);
        return r == 0 ? row_parse((const char *)text.data, ret) : r;
}

static int print_survey(const struct ctl *ctl, const struct purge *p, const char *name, const struct index_survey *s)
{
        _cleanup_(json_read_freep) struct json_object *answer = NULL;
        char title[NAME_SIZE + 32];
        int r = make_answer(s, &answer);
        if (r < 0)
                return r;
        snprintf(title, sizeof(title), "would be purged: %s", name);
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
        _cleanup_(json_read_freep) struct json_object *answer = NULL;
        char title[NAME_SIZE + 32];
        int r = make_request(p, &request);
        if (r < 0)
                return say_error("write the request", r);
        const struct perform_request operation = { .text = (const char *)request.data };
        int status = perform(ctl, &operation, &answer);
        if (!answer)
                return status;
        snprintf(title, sizeof(title), "purged: %s", name);
        sign(answer, p);
        r = receipt_print(ctl, title, answer);
        if (status == CTL_OK && json_read_u64(answer, "crashes") + json_read_u64(answer, "log_files") +
                                                json_read_u64(answer, "sources") + json_read_u64(answer, "held_kept") ==
                                        0)
                say_note("there was nothing to delete for %s; check the spelling", name);
        return r < 0 ? say_error("print the receipt", r) : status;
}

static int run(const struct ctl *ctl)
{
        struct purge p = { 0 };
        struct index_survey found = { 0 };
        char name[NAME_SIZE];
        int r = 0, status = read_purge(ctl, &p);
        name_it(&p, name);
        if (status == CTL_OK && (ctl->dry_run || !ctl->yes))
                status = survey(ctl, &p, &found);
        if (status != CTL_OK)
                return status;
        if (ctl->dry_run)
                r = print_survey(ctl, &p, name, &found);
        if (ctl->dry_run)
                return r == 0 ? CTL_OK : say_error("print the receipt", r);
        status = ask(ctl, name, &found);
        return status == CTL_OK ? purge(ctl, &p, name) : status;
}

const struct command purge_command = {
        .name = "purge",
        .summary = "delete all data of a project or an installation",
        .description =
                "Deletes crashes, their JSON files, the blobs that no other crash uses, and log files; then the "
                "sources that have nothing left. With --before, only crashes received before that time, and the log "
                "files of whole days before it. Held crashes stay unless --held is given. Uploads go on meanwhile; "
                "what arrives after the start of the purge stays. When it is interrupted, run it again: it continues "
                "where it stopped.",
        .options =
                (const struct command_option[]){
                        { "project", "PROJECT", "the project whose data is deleted", .required = true },
                        { "install", "ID", "only of this installation" },
                        { "before", "TIME",
                          "only what was received before: 2026-05-19T08:30:00Z, 2026-05-19, 30d (ago)" },
                        { "held", .help = "delete held crashes too" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl purge --project acme --dry-run", "how much would be deleted?" },
                        { "detritusctl purge --project acme --install 8f14e45f-ceea-4e6a-9f2b-000000000001 --yes "
                          "--json",
                          "a user asked for deletion; keep the receipt" },
                        { "detritusctl purge --project acme --before 30d", "only what is older than thirty days" },
                        { NULL },
                },
        .flags = COMMAND_YES | COMMAND_DRY_RUN,
        .run = run,
};
