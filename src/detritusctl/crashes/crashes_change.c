/* detritusctl crashes delete, hold and release: names become ids on a read-only connection, then an operation changes
 * those crashes. */
#include "detritusctl/crashes/crashes_change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/operations.h"
#include "detritusctl/access/open.h"
#include "detritusctl/access/perform.h"
#include "detritusctl/access/receipt.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/crashes/crash_ids.h"
#include "detritusctl/screen/screen.h"
#include "protocol/json/json_read.h"
#include "protocol/json/json_write.h"
#include "storage/index/index_read.h"

struct change {
        const struct ctl *ctl;
        size_t n;
        int64_t *ids;
        int status;
        struct json_object *sum; /* of the answers; NULL: there was none */
};

static void change_done(struct change *c)
{
        free(c->ids);
        json_object_put(c->sum);
}

/* All or none: a wrong name stops the command before anything is done. */
static int find_all(struct change *c)
{
        _cleanup_(index_freep) struct index *index = NULL;
        c->ids = calloc(c->ctl->n_arguments, sizeof(*c->ids));
        if (!c->ids)
                return say_failed("out of memory");
        int status = open_index(c->ctl, &index);
        for (c->n = 0; status == CTL_OK && c->n < c->ctl->n_arguments; c->n++)
                status = crash_ids_find(index, c->ctl->arguments[c->n], &c->ids[c->n]);
        return status;
}

/* An item: {"id":17,"result":"deleted"}. */
static int on_item(void *userdata, struct json_object *item)
{
        struct change *c = userdata;
        const char *result = json_read_string(item, "result") ?: "";
        bool deleting = strcmp(c->ctl->command->name, "delete") == 0;
        bool absent = strcmp(result, "absent") == 0, kept = strcmp(result, "held") == 0 && deleting;
        if (absent || kept)
                c->status = CTL_FAILED;
        if (c->ctl->json)
                return screen_json(NULL, json_read_value_shown(item));
        if (absent)
                say_note("crash %llu is gone already", (unsigned long long)json_read_u64(item, "id"));
        else if (kept)
                say_note("crash %llu is held; release it first, or use --held",
                         (unsigned long long)json_read_u64(item, "id"));
        return 0;
}

/* Receipts of several requests become one. */
static void add_up(struct change *c, struct json_object *answer)
{
        if (!c->sum) {
                c->sum = json_object_get(answer);
                return;
        }
        json_object_object_foreach(answer, key, value)
        {
                struct json_object *old = json_read_member(c->sum, key);
                if (json_object_is_type(value, json_type_int) && json_object_is_type(old, json_type_int))
                        json_object_set_int64(old, json_object_get_int64(old) + json_object_get_int64(value));
        }
}

/* NUL-terminated. */
static int make_request(const char *op, const int64_t *ids, size_t n, bool held, struct buf *out)
{
        struct json_write w = json_write_to(out);
        json_write_object(&w, NULL);
        json_write_string(&w, "op", op);
        if (held)
                json_write_bool(&w, "held", true);
        json_write_array(&w, "ids");
        for (size_t i = 0; i < n; i++)
                json_write_i64(&w, NULL, ids[i]);
        json_write_end(&w);
        json_write_end(&w);
        buf_append_char(out, '\0');
        return json_write_finish(&w);
}

static int run_all(struct change *c, const char *op, bool held)
{
        int status = CTL_OK;
        for (size_t done = 0; status == CTL_OK && done < c->n; done += OPERATIONS_IDS_MAX) {
                _cleanup_(buf_done) struct buf request = { 0 };
                _cleanup_(json_read_freep) struct json_object *answer = NULL;
                size_t n = c->n - done < OPERATIONS_IDS_MAX ? c->n - done : OPERATIONS_IDS_MAX;
                int r = make_request(op, c->ids + done, n, held, &request);
                if (r < 0)
                        return say_error("write the request", r);
                const struct perform_request operation = { .text = (const char *)request.data,
                                                           .on_item = on_item,
                                                           .userdata = c };
                status = perform(c->ctl, &operation, &answer);
                if (answer)
                        add_up(c, answer);
        }
        return status == CTL_OK ? c->status : status;
}

/* ---- delete ---- */

static int print_result(const struct ctl *ctl, int64_t id, const char *result)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        if (!ctl->json)
                return printf("crash %lld: %s\n", (long long)id, result) < 0 ? -EIO : 0;
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_i64(&w, "id", id);
        json_write_string(&w, "result", result);
        json_write_end(&w);
        return screen_json_line(&line);
}

static int print_dry_run(const struct change *c, bool held_too)
{
        _cleanup_(index_freep) struct index *index = NULL;
        int status = open_index(c->ctl, &index);
        if (status != CTL_OK)
                return status;
        for (size_t i = 0; i < c->n; i++) {
                bool held = false;
                int r = index_crash_by_id(index, c->ids[i], NULL, NULL, &held);
                const char *result = r == -ENOENT ? "absent" : held && !held_too ? "held" : "would be deleted";
                if (r < 0 && r != -ENOENT)
                        return say_error("read the database", r);
                r = print_result(c->ctl, c->ids[i], result);
                if (r < 0)
                        return say_error("print the result", r);
        }
        return CTL_OK;
}

static int delete (const struct ctl *ctl)
{
        _cleanup_(change_done) struct change c = { .ctl = ctl };
        bool held = ctl_flag(ctl, "held");
        int status = find_all(&c);
        if (status == CTL_OK && ctl->dry_run)
                return print_dry_run(&c, held);
        if (status == CTL_OK)
                status = confirm(ctl, "delete %zu crash%s", c.n, c.n == 1 ? "" : "es");
        if (status == CTL_OK)
                status = run_all(&c, "crash-delete", held);
        if (c.sum && !ctl->json) {
                json_object_object_del(c.sum, "log_files"); /* always 0 */
                receipt_print(ctl, "deleted", c.sum);
        }
        return status;
}

const struct command crashes_delete_command = {
        .name = "delete",
        .summary = "delete crashes and their files",
        .arguments = "ID|HASH...",
        .min_arguments = 1,
        .max_arguments = COMMAND_MANY,
        .description =
                "Deletes crashes, their JSON files, and the blobs that no other crash uses. A running daemon does it "
                "between uploads; without one, detritusctl does it. Held crashes stay, and the exit status is then 1. "
                "When one of the names is wrong, nothing is deleted.",
        .options =
                (const struct command_option[]){
                        { "held", .help = "delete held crashes too" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes delete 17 18", "two of them" },
                        { "detritusctl crashes list --version 0.1 --limit 0 --json | jq .id |\n"
                          "      xargs -r detritusctl crashes delete --yes",
                          "all crashes of one version, in a script" },
                        { NULL },
                },
        .flags = COMMAND_YES | COMMAND_DRY_RUN,
        .run = delete,
};

/* ---- hold, release ---- */

static int set_held(const struct ctl *ctl, const char *op)
{
        _cleanup_(change_done) struct change c = { .ctl = ctl };
        int status = find_all(&c);
        return status == CTL_OK ? run_all(&c, op, false) : status;
}

static int hold(const struct ctl *ctl)
{
        return set_held(ctl, "crash-hold");
}

static int release(const struct ctl *ctl)
{
        return set_held(ctl, "crash-release");
}

const struct command crashes_hold_command = {
        .name = "hold",
        .summary = "keep crashes from being deleted",
        .arguments = "ID|HASH...",
        .min_arguments = 1,
        .max_arguments = COMMAND_MANY,
        .description = "Protects crashes from retention, caps, purge and delete until they are released.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes hold 17", "while somebody investigates it" },
                        { NULL },
                },
        .run = hold,
};

const struct command crashes_release_command = {
        .name = "release",
        .summary = "end the hold on crashes",
        .arguments = "ID|HASH...",
        .min_arguments = 1,
        .max_arguments = COMMAND_MANY,
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes release 17", "it may expire again" },
                        { NULL },
                },
        .run = release,
};
