/* detritusctl crashes: reads the index beside a running daemon, never writes it. The index answers in JSON: with --json
 * that is what is printed, one crash a line; else it becomes a table or a page for people. */

#include <errno.h>
#include <getopt.h>
#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/commands.h"
#include "detritusctl/crash_page.h"
#include "detritusctl/crash_table.h"
#include "detritusctl/terminal.h"
#include "storage/crashes/index.h"
#include "util/hex.h"

#define LIMIT_DEFAULT 50
#define PREFIX_MIN 4
#define CANDIDATES_MAX 10

static const char usage[] =
        "Usage: detritusctl [--data-dir DIR] crashes list [--json] [--limit N]\n"
        "       detritusctl [--data-dir DIR] crashes show ID|HASH [--json]\n"
        "\n"
        "list shows the newest crashes first, 50 unless --limit says otherwise (0: all). HASH is at\n"
        "least four digits from the start of a dump's SHA-256. --json prints one object a line.\n";

static const struct option options[] = {
        { "json", no_argument, NULL, 'j' },
        { "limit", required_argument, NULL, 'n' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
};

struct request {
        const char *data_dir;
        const char *what; /* show: the argument */
        unsigned limit;
        bool json;
};

static int complain(const char *text)
{
        fprintf(stderr, "detritusctl: %s\n", text);
        return CTL_FAILED;
}

static int print_json(_unused_ void *userdata, const char *json)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        int r = terminal_json(&line, json);
        if (r == 0)
                r = buf_append_char(&line, '\n');
        if (r < 0)
                return r;
        return fwrite(line.data, 1, line.len, stdout) == line.len ? 0 : -EIO;
}

static int open_index(const struct request *request, struct index **ret)
{
        struct error err = { "out of memory" };
        int r = index_open_readonly(request->data_dir, ret, &err);
        return r == 0 ? CTL_OK : complain(err.text);
}

static int list(const struct request *request)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(crash_table_freep) struct crash_table *table = NULL;
        int status = open_index(request, &index);
        if (status != CTL_OK)
                return status;
        int r = request->json ? 0 : crash_table_new(terminal_columns(), &table);
        if (r == 0)
                r = index_list_crashes(index, request->limit, request->json ? print_json : crash_table_add, table);
        if (r == 0 && table)
                r = crash_table_finish(table);
        return r == 0 ? CTL_OK : complain(strerror(-r));
}

/* < 0: it is no id. */
static int64_t parse_id(const char *text)
{
        size_t len = strlen(text);
        return len > 0 && len <= 18 && strspn(text, "0123456789") == len ? strtoll(text, NULL, 10) : -1;
}

static int list_candidates(const int64_t *ids, size_t n)
{
        fputs("detritusctl: several crashes have such a dump; show one by its id:", stderr);
        for (size_t i = 0; i < n; i++)
                fprintf(stderr, " %lld", (long long)ids[i]);
        fputs(n == CANDIDATES_MAX ? " ...\n" : "\n", stderr);
        return CTL_FAILED;
}

static int show_id(const struct request *request, struct index *index, int64_t id)
{
        return index_show_crash(index, id, request->json ? print_json : crash_page_print, NULL);
}

static int show(const struct request *request)
{
        _cleanup_(index_freep) struct index *index = NULL;
        int64_t ids[CANDIDATES_MAX], id = parse_id(request->what);
        size_t n = 0, len = strlen(request->what);
        int status = open_index(request, &index);
        if (status != CTL_OK)
                return status;
        int r = id >= 0 ? show_id(request, index, id) : -ENOENT;
        if (r == -ENOENT && len >= PREFIX_MIN && len <= 64 && hex_is_lower(request->what, len)) {
                r = index_find_crashes(index, request->what, CANDIDATES_MAX, ids, &n);
                if (r == 0 && n > 1)
                        return list_candidates(ids, n);
                if (r == 0)
                        r = n == 1 ? show_id(request, index, ids[0]) : -ENOENT;
        }
        if (r == -ENOENT)
                return complain("there is no such crash");
        return r == 0 ? CTL_OK : complain(strerror(-r));
}

static bool parse_limit(const char *text, unsigned *ret)
{
        char *end;
        errno = 0;
        unsigned long value = strtoul(text, &end, 10);
        if (errno || end == text || *end || *text == '-' || value > INT_MAX)
                return false;
        *ret = (unsigned)value;
        return true;
}

/* -1 to go on, else the exit status. */
static int read_flags(int argc, char **argv, struct request *request)
{
        optind = 0; /* getopt_long(3): begin anew, on another argv */
        for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
                switch (c) {
                case 'j': request->json = true; break;
                case 'n':
                        if (parse_limit(optarg, &request->limit))
                                break;
                        fputs("detritusctl: --limit is not a number\n", stderr);
                        return CTL_USAGE;
                case 'h': fputs(usage, stdout); return CTL_OK;
                default: fputs("Try detritusctl crashes --help.\n", stderr); return CTL_USAGE;
                }
        }
        return -1;
}

int crashes_main(int argc, char **argv, const struct ctl *ctl)
{
        struct request request = { .data_dir = ctl->data_dir, .limit = LIMIT_DEFAULT };
        int status = read_flags(argc, argv, &request);
        if (status >= 0)
                return status;
        char **rest = argv + optind;
        int n = argc - optind;
        if (n == 1 && strcmp(rest[0], "list") == 0)
                return list(&request);
        if (n == 2 && strcmp(rest[0], "show") == 0) {
                request.what = rest[1];
                return show(&request);
        }
        fputs(usage, stderr);
        return CTL_USAGE;
}
