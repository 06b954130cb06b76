/* detritusctl crashes delete|hold|release: names become ids on a read-only connection, then an operation does it. */
#include "detritusctl/crashes/crashes_change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/operations.h"
#include "detritusctl/cli/confirm.h"
#include "detritusctl/cli/control_client.h"
#include "detritusctl/cli/reading.h"
#include "detritusctl/cli/receipt.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/crashes/crash_ids.h"
#include "detritusctl/screen/screen.h"
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

/* All or none: a name that is wrong stops it before anything is done. */
static int find_all(struct change *c)
{
        _cleanup_(index_freep) struct index *index = NULL;
        c->ids = calloc(c->ctl->n_arguments, sizeof(*c->ids));
        if (!c->ids)
                return say_failed("out of memory");
        int status = reading_open_index(c->ctl, &index);
        for (c->n = 0; status == CTL_OK && c->n < c->ctl->n_arguments; c->n++)
                status = crash_ids_find(index, c->ctl->arguments[c->n], &c->ids[c->n]);
        return status;
}

static int on_item(void *userdata, struct json_object *item)
{
        struct change *c = userdata;
        const char *result = ctl_text(item, "result");
        bool wrong = result && (strcmp(result, "absent") == 0 ||
                                (strcmp(result, "held") == 0 && strcmp(c->ctl->command->name, "delete") == 0));
        if (wrong)
                c->status = CTL_FAILED;
        if (c->ctl->json)
                return screen_json(NULL, json_object_to_json_string_ext(item, JSON_C_TO_STRING_NOSLASHESCAPE));
        if (wrong && strcmp(result, "held") == 0)
                say_note("crash %llu is held; release it first, or say --held",
                         (unsigned long long)ctl_number(item, "id"));
        else if (wrong)
                say_note("crash %llu is gone already", (unsigned long long)ctl_number(item, "id"));
        return 0;
}

/* Receipts of several requests become one. */
static int add_up(struct change *c, struct json_object *answer)
{
        if (!c->sum) {
                c->sum = json_object_get(answer);
                return 0;
        }
        json_object_object_foreach(answer, key, value)
        {
                struct json_object *old;
                if (!json_object_is_type(value, json_type_int) || !json_object_object_get_ex(c->sum, key, &old))
                        continue;
                json_object_set_int64(old, json_object_get_int64(old) + json_object_get_int64(value));
        }
        return 0;
}

static int request_for(const char *op, const int64_t *ids, size_t n, bool held, struct buf *out)
{
        int r = buf_printf(out, "{\"op\":\"%s\"%s,\"ids\":[", op, held ? ",\"held\":true" : "");
        for (size_t i = 0; r == 0 && i < n; i++)
                r = buf_printf(out, "%s%lld", i ? "," : "", (long long)ids[i]);
        if (r == 0)
                r = buf_append(out, "]}", 3); /* with the NUL */
        return r;
}

static int run_all(struct change *c, const char *op, bool held)
{
        int status = CTL_OK;
        for (size_t done = 0; status == CTL_OK && done < c->n; done += OPERATIONS_IDS_MAX) {
                _cleanup_(buf_done) struct buf request = { 0 };
                _cleanup_(json_object_putp) struct json_object *answer = NULL;
                size_t n = c->n - done < OPERATIONS_IDS_MAX ? c->n - done : OPERATIONS_IDS_MAX;
                int r = request_for(op, c->ids + done, n, held, &request);
                if (r < 0)
                        return say_failed("%s", strerror(-r));
                const struct ctl_operation operation = { .request = (const char *)request.data,
                                                         .on_item = on_item,
                                                         .userdata = c };
                status = ctl_operate(c->ctl, &operation, &answer);
                if (answer)
                        add_up(c, answer);
        }
        return status == CTL_OK ? c->status : status;
}

/* ---- delete ---- */

static int say_what_would_go(const struct change *c, bool held_too)
{
        _cleanup_(index_freep) struct index *index = NULL;
        int status = reading_open_index(c->ctl, &index);
        if (status != CTL_OK)
                return status;
        for (size_t i = 0; i < c->n; i++) {
                bool held = false;
                int r = index_crash_by_id(index, c->ids[i], NULL, NULL, &held);
                const char *result = r == -ENOENT ? "absent" : held && !held_too ? "held" : "would be deleted";
                if (r < 0 && r != -ENOENT)
                        return say_failed("%s", strerror(-r));
                if (c->ctl->json)
                        printf("{\"id\":%lld,\"result\":\"%s\"}\n", (long long)c->ids[i], result);
                else
                        printf("crash %lld: %s\n", (long long)c->ids[i], result);
        }
        return CTL_OK;
}

static int delete (const struct ctl *ctl)
{
        _cleanup_(change_done) struct change c = { .ctl = ctl };
        bool held = ctl_flag(ctl, "held");
        int status = find_all(&c);
        if (status == CTL_OK && ctl->dry_run)
                return say_what_would_go(&c, held);
        if (status == CTL_OK)
                status = confirm(ctl, "delete %zu crash%s", c.n, c.n == 1 ? "" : "es");
        if (status == CTL_OK)
                status = run_all(&c, "crash-delete", held);
        if (c.sum && !ctl->json) {
                json_object_object_del(c.sum, "log_files"); /* none ever */
                receipt_print(ctl, "deleted", c.sum);
        }
        return status;
}

const struct command crashes_delete_command = {
        .name = "delete",
        .summary = "delete crashes, their JSON files, and the blobs that nothing else uses",
        .arguments = "ID|HASH...",
        .min_arguments = 1,
        .max_arguments = COMMAND_MANY,
        .description =
                "Deletes crashes, their JSON files, and the blobs that no other crash uses. A running daemon does it, "
                "between uploads; without one, detritusctl does. Crashes that are held stay, and the exit status is "
                "then 1. When one of the names is wrong, nothing is deleted.",
        .options =
                (const struct command_option[]){
                        { "held", .help = "delete held ones, too" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes delete 17 18", "two of them" },
                        { "detritusctl crashes list --json | jq 'select(.version == \"0.1\").id' |\n"
                          "      xargs detritusctl crashes delete --yes",
                          "those of a version, from a script" },
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
        .summary = "keep crashes, however old they become",
        .arguments = "ID|HASH...",
        .min_arguments = 1,
        .max_arguments = COMMAND_MANY,
        .description = "Keeps crashes from retention, caps, purge and delete, until they are released.",
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes hold 17", "while somebody looks into it" },
                        { NULL },
                },
        .run = hold,
};

const struct command crashes_release_command = {
        .name = "release",
        .summary = "let retention have held crashes again",
        .arguments = "ID|HASH...",
        .min_arguments = 1,
        .max_arguments = COMMAND_MANY,
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes release 17", "it may expire now" },
                        { NULL },
                },
        .run = release,
};
