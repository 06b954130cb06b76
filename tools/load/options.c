#include "options.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "../common/command_line.h"
#include "body.h"

const char options_usage[] =
        "Usage: detritus-load --url http://ADDR:PORT --token T --project P [OPTIONS]\n"
        "\n"
        "Sends log exports over HTTP/2, or crash reports, checks every answer and says how long they took.\n"
        "Exit status: 0 all answers were good, 1 some were not, 2 wrong usage.\n"
        "\n"
        "  --crashes            crash reports instead of log exports\n"
        "  --mode idle          only hold the connections open, for --seconds\n"
        "  --sources N          install ids s000000 and on [1]; UUIDs for crashes\n"
        "  --random             sources in random order, not one after the other\n"
        "  --records R          log records in an export [1]\n"
        "  --bytes N            bytes of a dump, each different [65536]\n"
        "  --connections C      in all [1]\n"
        "  --streams M          requests at once on a connection [1]\n"
        "  --threads T          [1]\n"
        "  --new-connection     a connection for each request; --streams is 1 then\n"
        "  --seconds S          begin requests for so long [5]\n"
        "  --requests K         or so many of them\n"
        "  --warm-up S          seconds before anything is measured [0]\n"
        "  --rate R             requests a second, due whether or not answers come [0: an answer begins the next]\n"
        "  --first N            number of the first request: where an earlier run over the same data ended [0]\n"
        "  --json               one JSON object instead of a line\n";

enum {
        OPTION_URL = 1,
        OPTION_TOKEN,
        OPTION_PROJECT,
        OPTION_MODE,
        OPTION_CRASHES,
        OPTION_RANDOM,
        OPTION_NEW_CONNECTION,
        OPTION_JSON,
        OPTION_HELP,
};

static const struct command_line_number numbers[] = {
#define NUMBER(name, member, min, max)                                                                                 \
        {                                                                                                              \
                name, offsetof(struct load_options, member), min, max                                                  \
        }
        NUMBER("sources", sources, 1, LOAD_SOURCES_MAX),
        NUMBER("records", records, 1, 65536),
        NUMBER("bytes", bytes, CRASH_BODY_BYTES_MIN, 1 << 30),
        NUMBER("connections", connections, 1, LOAD_CONNECTIONS_MAX),
        NUMBER("streams", streams, 1, LOAD_STREAMS_MAX),
        NUMBER("threads", threads, 1, LOAD_THREADS_MAX),
        NUMBER("seconds", seconds, 1, 86400),
        NUMBER("requests", requests, 1, UINT32_MAX),
        NUMBER("warm-up", warm_up, 0, 3600),
        NUMBER("rate", rate, 1, 100000000),
        NUMBER("first", first, 0, UINT32_MAX),
};

static const struct option others[] = {
        { "url", required_argument, NULL, OPTION_URL },
        { "token", required_argument, NULL, OPTION_TOKEN },
        { "project", required_argument, NULL, OPTION_PROJECT },
        { "mode", required_argument, NULL, OPTION_MODE },
        { "crashes", no_argument, NULL, OPTION_CRASHES },
        { "random", no_argument, NULL, OPTION_RANDOM },
        { "new-connection", no_argument, NULL, OPTION_NEW_CONNECTION },
        { "json", no_argument, NULL, OPTION_JSON },
        { "help", no_argument, NULL, OPTION_HELP },
};

static int complain(const char *text, const char *value)
{
        return command_line_complain("detritus-load", text, value);
}

/* "http://127.0.0.1:4317" or "http://[::1]:4317" */
static int read_url(struct load_options *o, const char *url)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)&o->address;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&o->address;
        char host[48];
        unsigned port;
        int n = 0;

        if (sscanf(url, "http://[%47[0-9a-fA-F:.]]:%5u%n", host, &port, &n) != 2 || n == 0)
                sscanf(url, "http://%47[0-9.]:%5u%n", host, &port, &n);
        if (n == 0 || (url[n] != '\0' && strcmp(url + n, "/") != 0) || port == 0 || port > UINT16_MAX)
                return complain("not of the form http://ADDR:PORT: ", url);
        snprintf(o->authority, sizeof(o->authority), "%.*s", n - 7, url + 7);
        if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons((uint16_t)port);
                o->address_len = sizeof(*v4);
        } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons((uint16_t)port);
                o->address_len = sizeof(*v6);
        } else
                return complain("not a numeric address: ", url);
        return 0;
}

static int read_token(struct load_options *o, const char *token)
{
        char *bearer;
        if (asprintf(&bearer, "Bearer %s", token) < 0)
                return complain("out of memory", "");
        o->token = bearer;
        return 0;
}

static int take(void *options, int val, const char *value)
{
        struct load_options *o = options;
        switch (val) {
        case OPTION_URL: return read_url(o, value);
        case OPTION_TOKEN: return read_token(o, value);
        case OPTION_PROJECT: o->project = value; return 0;
        case OPTION_CRASHES: o->kind = LOAD_CRASHES; return 0;
        case OPTION_RANDOM: o->random = true; return 0;
        case OPTION_NEW_CONNECTION: o->new_connection = true; return 0;
        case OPTION_JSON: o->json = true; return 0;
        case OPTION_MODE:
                if (strcmp(value, "idle") != 0)
                        return complain("no such mode: ", value);
                o->kind = LOAD_IDLE;
                return 0;
        default: fputs(options_usage, stdout); return 1; /* --help */
        }
}

static int check(struct load_options *o)
{
        if (o->address_len == 0)
                return complain("--url is required", "");
        if (o->kind != LOAD_IDLE && (!o->token || !o->project))
                return complain("--token and --project are required", "");
        if (o->project && (o->project[0] == '\0' || strlen(o->project) > 64 || strpbrk(o->project, "\"\\")))
                return complain("not a project: ", o->project);
        if (o->threads > o->connections)
                return complain("more threads than connections", "");
        if (o->new_connection)
                o->streams = 1;
        if (o->seconds == 0 && (o->requests == 0 || o->kind == LOAD_IDLE))
                o->seconds = 5;
        return 0;
}

int options_read(struct load_options *ret, int argc, char **argv)
{
        static const struct command_line line = {
                .program = "detritus-load",
                .numbers = numbers,
                .n_numbers = ARRAY_LEN(numbers),
                .others = others,
                .n_others = ARRAY_LEN(others),
                .take = take,
        };
        *ret = (struct load_options){
                .sources = 1, .records = 1, .bytes = 65536, .connections = 1, .streams = 1, .threads = 1
        };
        int r = command_line_read(&line, ret, argc, argv);
        return r == 0 ? check(ret) : r;
}
