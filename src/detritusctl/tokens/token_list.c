/* detritusctl token list and check: what the token file says, and when each token was used last. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "auth/verifier.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/table.h"
#include "detritusctl/tokens/token_internal.h"
#include "detritusctl/tokens/token_secret.h"
#include "protocol/json/json_write.h"
#include "storage/index/index_list.h"

/* ---- list ---- */

struct uses {
        const struct tokens *tokens;
        char (*last_used_at)[32]; /* by entry; "": not known */
};

static int note_use(void *userdata, const char *token_id, const char *last_used_at)
{
        struct uses *u = userdata;
        for (size_t i = 0; i < u->tokens->n; i++) {
                if (strcmp(u->tokens->list[i].id, token_id) == 0)
                        snprintf(u->last_used_at[i], sizeof(u->last_used_at[i]), "%s", last_used_at);
        }
        return 0;
}

/* A database that cannot be read is reported, but is not a failure. */
static void read_uses(const struct ctl *ctl, struct uses *u)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct error err = { "out of memory" };
        int r = index_open_readonly(ctl->data_dir, &index, &err);
        if (r == 0)
                r = index_token_uses(index, note_use, u);
        if (r != 0)
                say_note("it is not known when tokens were used last: %s", err.text);
}

/* used: when it was used last; "": not known; NULL: without that member. */
static int print_object(const struct token *t, const char *used)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_string(&w, "id", t->id);
        json_write_string(&w, "project", t->project);
        json_write_string(&w, "source_prefix", t->source_prefix);
        json_write_bool(&w, "url_key", t->url_key);
        if (used)
                json_write_string(&w, "last_used_at", *used ? used : NULL);
        json_write_end(&w);
        return screen_json_line(&line);
}

static int print_table(const struct uses *u)
{
        static const struct table_column columns[] = { { .title = "ID", .max = 64 },
                                                       { .title = "PROJECT" },
                                                       { .title = "PREFIX" },
                                                       { .title = "URL KEY" },
                                                       { .title = "LAST USED" } };
        _cleanup_(table_freep) struct table *table = NULL;
        int r = table_new(columns, ARRAY_LEN(columns), &table);
        for (size_t i = 0; r == 0 && i < u->tokens->n; i++) {
                const struct token *t = &u->tokens->list[i];
                char used[SCREEN_TIME_SIZE] = "never";
                if (*u->last_used_at[i])
                        screen_time(u->last_used_at[i], used);
                r = table_add(table,
                              (const char *[]){ t->id, t->project, t->source_prefix, t->url_key ? "yes" : "no", used });
        }
        return r == 0 ? table_finish(table) : r;
}

static int list(const struct ctl *ctl)
{
        _cleanup_(token_file_done) struct token_file file = { .directory_fd = -1 };
        int status = token_open(ctl, TOKEN_FILE_READ, &file);
        if (status != CTL_OK)
                return status;
        struct uses u = { .tokens = file.tokens };
        if (!u.tokens)
                return say_failed("there are no tokens in %s", file.path);
        u.last_used_at = calloc(u.tokens->n, sizeof(*u.last_used_at));
        int r = u.last_used_at ? 0 : -ENOMEM;
        if (r == 0)
                read_uses(ctl, &u);
        for (size_t i = 0; r == 0 && ctl->json && i < u.tokens->n; i++)
                r = print_object(&u.tokens->list[i], u.last_used_at[i]);
        if (r == 0 && !ctl->json)
                r = print_table(&u);
        free(u.last_used_at);
        return r == 0 ? CTL_OK : say_error("list the tokens", r);
}

/* ---- check ---- */

struct waiting {
        struct verification job;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool done;
};

static void on_done(struct verification *job)
{
        struct waiting *w = container_of(job, struct waiting, job);
        pthread_mutex_lock(&w->lock);
        w->done = true;
        pthread_cond_signal(&w->changed);
        pthread_mutex_unlock(&w->lock);
}

/* The daemon's own verifier decides. 0, VERIFIER_UNKNOWN, or -errno. */
static int verify(struct tokens *tokens, const char *presented, struct principal *ret)
{
        static const struct verifier_config config = {
                .threads = 1, .queue = 1, .cache_entries = 1, .bad_secs = 1, .memory_dirfd = -1
        };
        _cleanup_(verifier_freep) struct verifier *verifier = NULL;
        struct waiting w = { .job = { .done = on_done },
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER };
        int r = verifier_new(&config, tokens, &verifier);
        if (r == 0)
                r = verifier_check(verifier, presented, strlen(presented), 0, &w.job, ret);
        if (r != VERIFIER_PENDING)
                return r;
        pthread_mutex_lock(&w.lock);
        while (!w.done)
                pthread_cond_wait(&w.changed, &w.lock);
        pthread_mutex_unlock(&w.lock);
        *ret = w.job.principal;
        return w.job.outcome == VERIFICATION_OK        ? 0
               : w.job.outcome == VERIFICATION_UNKNOWN ? VERIFIER_UNKNOWN
                                                       : -ENOMEM;
}

/* May it write to --project and --install? Without --install: to any installation of the project. */
static bool permits(const struct ctl *ctl, const struct token *t)
{
        const char *project = ctl_value(ctl, "project"), *install = ctl_value(ctl, "install");
        struct source source;
        if (!project)
                return true;
        snprintf(source.project, sizeof(source.project), "%s", project);
        snprintf(source.install_id, sizeof(source.install_id), "%s", install ? install : "");
        return install ? tokens_permit(t, &source) : strcmp(t->project, project) == 0;
}

static int print_principal(const struct ctl *ctl, const struct token *t)
{
        bool permitted = permits(ctl, t);
        if (ctl->json) {
                int r = print_object(t, NULL);
                return r < 0 ? say_error("print the entry", r) : permitted ? CTL_OK : CTL_FAILED;
        }
        printf("This is token \"%s\". It may write to sources of project \"%s\" that begin with \"%s\"%s.\n", t->id,
               t->project, t->source_prefix, t->url_key ? ", and may be used in a URL" : "");
        return permitted ? CTL_OK
                         : say_failed("it may not write to %s%s%s", ctl_value(ctl, "project"),
                                      ctl_value(ctl, "install") ? "/" : "", ctl_value(ctl, "install") ?: "");
}

static int check(const struct ctl *ctl)
{
        _cleanup_(token_file_done) struct token_file file = { .directory_fd = -1 };
        _cleanup_(principal_done) struct principal who = { 0 };
        char presented[TOKEN_SECRET_INPUT_SIZE];
        if (ctl_value(ctl, "install") && !ctl_value(ctl, "project"))
                return say_usage("--install needs --project");
        int status = token_open(ctl, TOKEN_FILE_READ, &file);
        if (status == CTL_OK)
                status = token_secret_read(stdin, presented);
        if (status != CTL_OK)
                return status;
        if (!file.tokens)
                return say_failed("there are no tokens in %s", file.path);
        int r = verify(file.tokens, presented, &who);
        explicit_bzero(presented, sizeof(presented));
        if (r == VERIFIER_UNKNOWN)
                return say_failed("this is not a token of %s", file.path);
        return r == 0 ? print_principal(ctl, who.token) : say_error("verify the token", r);
}

const struct command token_list_command = {
        .name = "list",
        .summary = "list the tokens of the token file, and when each was used last",
        .description = "The daemon records the use of a token at most once a minute, so the time shown may be up to a "
                       "minute too old.",
        .options = (const struct command_option[]){ TOKEN_FILE_OPTION, { NULL } },
        .examples =
                (const struct command_example[]){
                        { "detritusctl token list --config /etc/detritus/detritusd.yaml",
                          "who may write, and who does" },
                        { NULL },
                },
        .flags = COMMAND_PAGER,
        .run = list,
};

const struct command token_check_command = {
        .name = "check",
        .summary = "check the token on standard input: whose is it, and what may it write?",
        .description = "The daemon's own verifier decides. The exit status is 1 when the token is not in the token "
                       "file, or may not write to --project and --install.",
        .options =
                (const struct command_option[]){
                        TOKEN_FILE_OPTION,
                        { "project", "PROJECT", "may it write to this project?" },
                        { "install", "ID", "and to this installation of it?" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl token check --project acme --tokens-config tokens.yaml < token.txt",
                          "before you hand it out" },
                        { NULL },
                },
        .flags = COMMAND_NO_DATA_DIR,
        .run = check,
};
