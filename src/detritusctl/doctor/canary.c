/* detritusctl send-test: the way of a canary from end to end, through the real port. Sends one log line and one crash
 * report with a token, as a client does, then looks for them on disk and in the index. They stay there, marked:
 * platform "canary", and "detritus.canary" in the line's attributes and the report's context. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "detritusctl/access/daemon.h"
#include "detritusctl/access/settings.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/doctor/canary_message.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/terminal.h"
#include "detritusctl/tokens/token_secret.h"
#include "protocol/json/json_read.h"
#include "protocol/json/json_write.h"
#include "protocol/uuid.h"
#include "storage/crashes/mirror.h"
#include "storage/index/index_read.h"
#include "util/files/regular.h"

#define DEADLINE_SECS 10
#define MESSAGE_SIZE 256 /* of what a server says that is shown */
#define LOG_TAIL_BYTES (1024 * 1024)
#define INSTALL_DEFAULT "ca9a27e5-0000-4000-8000-000000000000"

struct sender {
        const struct ctl *ctl;
        struct client *client;
        const char *address, *bearer;
        uint64_t deadline_ns;
        bool connected; /* the first request found somebody who listens */
        struct canary canary;
};

static int print_json(const struct sender *s, const char *state, const char *check, const char *found)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_string(&w, "canary", s->canary.id);
        json_write_string(&w, "state", state);
        json_write_string(&w, "check", check);
        json_write_string(&w, "found", found);
        json_write_end(&w);
        return screen_json_line(&line);
}

static int print_text(bool good, const char *state, const char *check, const char *found)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        buf_printf(&line, "%s%-4s%s  %-16s  ", screen_on(good ? SCREEN_GOOD : SCREEN_BAD), state, screen_off(), check);
        terminal_line(&line, found, 0); /* the server may have written it, whoever that is */
        buf_append_char(&line, '\n');
        return screen_put(&line);
}

/* One line of the report. CTL_OK when it is good. */
static int report(const struct sender *s, bool good, const char *check, const char *found)
{
        const char *state = good ? "ok" : "bad";
        int r = s->ctl->json ? print_json(s, state, check, found) : print_text(good, state, check, found);
        return r == 0 && good ? CTL_OK : CTL_FAILED;
}

/* ---- sending ---- */

struct post {
        const char *path, *content_type;
        struct client_header more; /* one more header */
        const struct buf *body;
};

static unsigned ms_left(const struct sender *s)
{
        uint64_t now = clock_monotonic_ns();
        return now < s->deadline_ns ? (unsigned)((s->deadline_ns - now) / 1000000) + 1 : 1;
}

/* What client_send() returns. */
static int post(const struct sender *s, const struct post *p, struct client_answer *ret, struct error *err)
{
        char url[160];
        const struct client_header headers[] = { { "authorization", s->bearer },
                                                 { "content-type", p->content_type },
                                                 p->more };
        const struct iovec body = { p->body->data, p->body->len };
        unsigned ms = ms_left(s);
        const struct client_request request = { .method = "POST",
                                                .url = url,
                                                .version = CLIENT_HTTP_2,
                                                .headers = headers,
                                                .n_headers = ARRAY_LEN(headers),
                                                .body = &body,
                                                .n_body = 1,
                                                .connect_timeout_ms = ms,
                                                .timeout_ms = ms,
                                                .answer_max_bytes = MESSAGE_SIZE };
        snprintf(url, sizeof(url), "http://%s%s", s->address, p->path);
        return client_send(s->client, &request, ret, err);
}

/* What the server says: grpc-message, else the beginning of the body. The body of a 200 is not text. */
static void message_of(const struct client_answer *a, char ret[MESSAGE_SIZE])
{
        const char *message = client_answer_header(a, "grpc-message");
        if (message)
                snprintf(ret, MESSAGE_SIZE, "%s", message);
        else
                snprintf(ret, MESSAGE_SIZE, "%.*s", a->status == 200 ? 0 : (int)a->body.len,
                         a->body.data ? (const char *)a->body.data : "");
}

/* CTL_OK, or CTL_FAILED after a message. The first request: it finds out whether anybody listens. */
static int send_logs(struct sender *s)
{
        _cleanup_(buf_done) struct buf body = { 0 };
        _cleanup_(client_answer_done) struct client_answer answer = { 0 };
        const struct post logs = { "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                                   "application/grpc",
                                   { "te", "trailers" },
                                   &body };
        struct error err = { "out of memory" };
        char text[400], message[MESSAGE_SIZE];
        int r = canary_message_logs(&s->canary, &body);
        if (r == 0)
                r = post(s, &logs, &answer, &err);
        s->connected = r != CLIENT_UNREACHABLE;
        if (!s->connected)
                return say_failed("cannot connect to %s: %s", s->address, err.text);
        if (!s->ctl->json)
                printf("canary %s of %s/%s\n", s->canary.id, s->canary.source.project, s->canary.source.install_id);
        if (r != 0) {
                error_prefix(&err, "%s", logs.path);
                return report(s, false, "log sent", err.text);
        }
        const char *status = client_answer_header(&answer, "grpc-status");
        int grpc_status = status ? atoi(status) : -1;
        message_of(&answer, message);
        snprintf(text, sizeof(text), "HTTP %d, gRPC status %d%s%s", answer.status, grpc_status, *message ? ": " : "",
                 message);
        return report(s, answer.status == 200 && grpc_status == 0, "log sent", text);
}

static int send_crash(const struct sender *s)
{
        _cleanup_(buf_done) struct buf body = { 0 };
        _cleanup_(client_answer_done) struct client_answer answer = { 0 };
        const struct post crash = { "/v1/crashes",
                                    "multipart/form-data; boundary=" CANARY_MESSAGE_BOUNDARY,
                                    { "x-protocol-version", "1" },
                                    &body };
        struct error err = { "out of memory" };
        char text[400], message[MESSAGE_SIZE];
        int r = canary_message_crash(&s->canary, &body);
        if (r == 0)
                r = post(s, &crash, &answer, &err);
        if (r != 0) {
                error_prefix(&err, "%s", crash.path);
                return report(s, false, "crash sent", err.text);
        }
        message_of(&answer, message);
        snprintf(text, sizeof(text), "HTTP %d%s%.200s", answer.status, answer.status != 201 && *message ? ": " : "",
                 answer.status != 201 ? message : "");
        return report(s, answer.status == 201, "crash sent", text);
}

/* ---- looking ---- */

/* Is the id in the last part of the file? */
static bool file_has(int datadir_fd, const char *path, const char *id)
{
        _cleanup_(freep) char *tail = malloc(LOG_TAIL_BYTES);
        _cleanup_(closep) int fd = -1;
        if (!tail || regular_open(datadir_fd, path, &fd, NULL) < 0)
                return false;
        off_t size = lseek(fd, 0, SEEK_END);
        ssize_t n = pread(fd, tail, LOG_TAIL_BYTES, size > LOG_TAIL_BYTES ? size - LOG_TAIL_BYTES : 0);
        return n > 0 && memmem(tail, (size_t)n, id, strlen(id));
}

/* In the file of today, or of yesterday when the day ended meanwhile. */
static int find_log(const struct sender *s, int datadir_fd)
{
        const struct canary *canary = &s->canary;
        const struct moment days[] = { clock_now(), canary->at };
        char path[2 * SOURCE_COMPONENT_MAX + 64] = "", day[CLOCK_DAY_SIZE];
        bool found = false;
        for (size_t i = 0; i < ARRAY_LEN(days) && !found; i++) {
                clock_format_day(days[i], day);
                snprintf(path, sizeof(path), "logs/%s/%s/%s.ndjson", canary->source.project, canary->source.install_id,
                         day);
                found = file_has(datadir_fd, path, canary->id);
        }
        return report(s, found, "log stored", path);
}

static int find_crash(const struct sender *s, const char *data_dir, int datadir_fd)
{
        const struct canary *canary = &s->canary;
        _cleanup_(index_freep) struct index *index = NULL;
        struct crash_metadata m = { .source = canary->source, .timestamp = canary->at };
        struct error err = { "it cannot be read" };
        char path[MIRROR_PATH_SIZE], row[64];
        int64_t id = 0;

        int r = index_open_readonly(data_dir, &index, &err);
        if (r == 0)
                r = index_has_crash(index, &m, canary->dump_sha256, &id);
        snprintf(row, sizeof(row), "crash %lld", (long long)id);
        int status = report(s, r == 0 && id > 0, "crash indexed", r != 0 ? err.text : id > 0 ? row : "there is no row");
        blob_path(canary->dump_sha256, path);
        if (report(s, file_has(datadir_fd, path, canary->dump), "dump stored", path) != CTL_OK)
                status = CTL_FAILED;
        mirror_path(&m.source, m.timestamp, canary->dump_sha256, path);
        if (report(s, file_has(datadir_fd, path, canary->id), "JSON stored", path) != CTL_OK)
                status = CTL_FAILED;
        return status;
}

static int look(const struct sender *s, const char *data_dir, bool logs, bool crash)
{
        _cleanup_(closep) int datadir_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int status = CTL_OK;
        if (datadir_fd < 0)
                return report(s, false, "data directory", strerror(errno));
        if (logs)
                status = find_log(s, datadir_fd);
        if (crash && find_crash(s, data_dir, datadir_fd) != CTL_OK)
                status = CTL_FAILED;
        return status;
}

/* ---- the command ---- */

/* Never from the command line, which every user of the machine can read. */
static int read_token(const struct ctl *ctl, char ret[TOKEN_SECRET_INPUT_SIZE])
{
        const char *path = ctl_value(ctl, "token-file"), *environment = ctl_environment("DETRITUS_TOKEN");
        if (path) {
                FILE *from = fopen(path, "re");
                int status = from ? token_secret_read(from, ret) : say_failed("%s: %s", path, strerror(errno));
                if (from)
                        fclose(from);
                return status;
        }
        if (!environment)
                return token_secret_read(stdin, ret);
        if (snprintf(ret, TOKEN_SECRET_INPUT_SIZE, "%s", environment) >= TOKEN_SECRET_INPUT_SIZE)
                return say_failed("the token in $DETRITUS_TOKEN is too long");
        return CTL_OK;
}

/* The address by which this machine reaches a listener on all addresses. */
static void reachable(const char *listener, char ret[64])
{
        if (strncmp(listener, "0.0.0.0:", 8) == 0)
                snprintf(ret, 64, "127.0.0.1:%s", listener + 8);
        else if (strncmp(listener, "[::]:", 5) == 0)
                snprintf(ret, 64, "[::1]:%s", listener + 5);
        else
                snprintf(ret, 64, "%s", listener);
}

static const char *port_of(const char *address)
{
        const char *colon = strrchr(address, ':');
        return colon ? colon + 1 : address;
}

/* Without --remote the token goes to the daemon on the data directory, or to nobody: when that is down, another user's
 * program may listen on its port. given may be NULL: the daemon says where it listens. */
static int find_daemon(const struct config *config, const char *given, char ret[64])
{
        _cleanup_(json_read_freep) struct json_object *answer = NULL;
        int r = daemon_ask(config->data_dir, "{\"op\":\"status\"}", &answer);
        if (r < 0)
                return say_failed(
                        "cannot ask the detritusd on %s where it listens (%s); the token was not sent. Start it, or "
                        "use --address with --remote for another machine's",
                        config->data_dir, r == -ECONNREFUSED ? "none answers" : strerror(-r));
        struct json_object *listeners = json_read_member(answer, "listeners");
        for (size_t i = 0; i < json_read_count(listeners); i++) {
                const char *listener = json_read_value_shown(json_read_item(listeners, i));
                if (given && strcmp(port_of(given), port_of(listener)) != 0)
                        continue;
                reachable(given ? given : listener, ret);
                return CTL_OK;
        }
        const char *error = json_read_string(answer, "error");
        return say_failed("the detritusd on %s %s%s; the token was not sent", config->data_dir,
                          error ? "does not say where it listens: " : "does not listen on ",
                          error   ? error
                          : given ? given
                                  : "any address");
}

static int send_and_look(struct sender *s, const struct config *config)
{
        bool logs = send_logs(s) == CTL_OK;
        if (!s->connected)
                return CTL_FAILED;
        bool crash = send_crash(s) == CTL_OK;
        int status = logs && crash ? CTL_OK : CTL_FAILED;
        if (!ctl_flag(s->ctl, "remote") && look(s, config->data_dir, logs, crash) != CTL_OK)
                status = CTL_FAILED;
        return status;
}

static int run_with(const struct ctl *ctl, const struct config *config, const char *install_id, const char *token)
{
        _cleanup_(client_freep) struct client *client = NULL;
        const char *given = ctl_value(ctl, "address");
        char bearer[TOKEN_SECRET_INPUT_SIZE + 8], address[64];
        struct error err = { "out of memory" };

        reachable(given ? given : config->listeners[0], address);
        int status = ctl_flag(ctl, "remote") ? CTL_OK : find_daemon(config, given, address);
        if (status != CTL_OK)
                return status;
        if (config_check_address(address, &err) != 0)
                return say_failed("%s", err.text);
        snprintf(bearer, sizeof(bearer), "Bearer %s", token);
        struct sender s = { .ctl = ctl,
                            .address = address,
                            .bearer = bearer,
                            .deadline_ns = clock_monotonic_ns() + DEADLINE_SECS * UINT64_C(1000000000) };
        int r = canary_message_init(&s.canary, ctl_value(ctl, "project"), install_id);
        if (r == 0)
                r = client_new(&client);
        s.client = client;
        status = r == 0 ? send_and_look(&s, config) : say_error("send the canary", r);
        explicit_bzero(bearer, sizeof(bearer));
        return status;
}

static int run(const struct ctl *ctl)
{
        _cleanup_(config_freep) struct config *config = NULL;
        char token[TOKEN_SECRET_INPUT_SIZE], install_id[UUID_SIZE];
        const char *project = ctl_value(ctl, "project"), *install = ctl_value(ctl, "install");
        if (!source_component_valid(project, strlen(project)))
                return say_usage("--project: \"%s\" is not a project; use 1 to 128 of A-Z a-z 0-9 . _ - @ + : ~, "
                                 "without a dot at the start",
                                 project);
        if (!uuid_normalise(install ? install : INSTALL_DEFAULT, install_id))
                return say_usage("--install: \"%s\" is not a UUID", install);
        int status = settings_read(ctl, ctl->config_path, NULL, &config);
        if (status == CTL_OK)
                status = read_token(ctl, token);
        if (status == CTL_OK)
                status = run_with(ctl, config, install_id, token);
        explicit_bzero(token, sizeof(token));
        return status;
}

const struct command send_test_command = {
        .name = "send-test",
        .summary = "send a log line and a crash, check that they are stored",
        .description =
                "Tests the whole path from the daemon's port to the disk. The token comes from the first of "
                "these that is given: --token-file, $DETRITUS_TOKEN, standard input. The line and the crash are kept, "
                "and marked as a canary (platform \"canary\"). The exit status is 1 when one was refused or is not "
                "found.",
        .options =
                (const struct command_option[]){
                        { "project", "PROJECT", "the project of the line and the crash", .required = true },
                        { "install", "UUID", "their installation [" INSTALL_DEFAULT "]" },
                        { "address", "ADDR:PORT",
                          "where the daemon listens [the first listener of --config, else 127.0.0.1:4317]" },
                        { "token-file", "FILE", "a file with the token on its first line", .complete = COMPLETE_FILE },
                        { "remote",
                          .help = "check only the answers, because the data directory is on another machine" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl send-test --project acme --token-file /run/secrets/canary",
                          "after an upgrade, or every hour" },
                        { NULL },
                },
        .run = run,
};
