/* detritusd: flags, signals, sd_notify; everything else is libdetritus. */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "libdetritus/detritus.h"

static const char usage[] =
        "Usage: detritusd --tokens-config FILE [OPTIONS]\n"
        "       detritusd hash-token < TOKEN\n"
        "\n"
        "Receives OTLP logs and crash reports on one port and keeps them.\n"
        "\n"
        "Options:\n"
        "  --bind ADDR:PORT             where to listen [127.0.0.1:4317]; port 0 picks a free port\n"
        "  --data-dir DIR               the data directory [./data/]\n"
        "  --tokens-config FILE         who may write what (.toml, .yaml)\n"
        "  --log-format json|pretty     the daemon's own log, on standard error [pretty]\n"
        "  --max-dump-bytes N           largest part of a crash upload [104857600]\n"
        "  --logs-ttl-days N            log files older than this are deleted [14]\n"
        "  --crashes-ttl-days N         crashes older than this are deleted [90]\n"
        "  --janitor-interval-secs N    how often old files are looked for [3600]\n"
        "  --config FILE                a YAML or TOML file with all of this and more; flags win\n"
        "  --version                    print the version\n"
        "  --help                       print this\n"
        "\n"
        "Commands:\n"
        "  hash-token                   read a token from standard input, print its Argon2id hash\n"
        "\n"
        "Signals: SIGTERM and SIGINT finish the requests under way and exit; SIGHUP reads the tokens again.\n";

static const struct option options[] = {
        { "bind", required_argument, NULL, 's' },
        { "data-dir", required_argument, NULL, 's' },
        { "tokens-config", required_argument, NULL, 's' },
        { "log-format", required_argument, NULL, 's' },
        { "max-dump-bytes", required_argument, NULL, 's' },
        { "logs-ttl-days", required_argument, NULL, 's' },
        { "crashes-ttl-days", required_argument, NULL, 's' },
        { "janitor-interval-secs", required_argument, NULL, 's' },
        { "config", required_argument, NULL, 'c' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
};

enum { EXIT_USAGE = 2 };

static int complain(const char *text)
{
        fprintf(stderr, "detritusd: %s\n", text);
        return EXIT_USAGE;
}

static int hash_token(void)
{
        char line[4096], phc[512];
        struct detritus_error err;
        if (!fgets(line, sizeof(line), stdin))
                line[0] = '\0';
        line[strcspn(line, "\r\n")] = '\0';
        int r = detritus_hash_token(line, phc, sizeof(phc), &err);
        explicit_bzero(line, sizeof(line));
        if (r != 0) {
                complain(err.text);
                return EXIT_FAILURE;
        }
        puts(phc);
        return EXIT_SUCCESS;
}

/* First the file, wherever --config stands, then the flags in their order. Returns -1, or the status to exit with. */
static int read_flags(int argc, char **argv, struct detritus_config *config)
{
        struct detritus_error err;
        for (int pass = 0; pass < 2; pass++) {
                int c, index;
                optind = 0;
                while ((c = getopt_long(argc, argv, "hV", options, &index)) != -1) {
                        int r = 0;
                        switch (c) {
                        case 'h': fputs(usage, stdout); return EXIT_SUCCESS;
                        case 'V': printf("detritusd %s\n", detritus_version()); return EXIT_SUCCESS;
                        case 'c': r = pass == 0 ? detritus_config_read(config, optarg, &err) : 0; break;
                        case 's':
                                r = pass == 1 ? detritus_config_set(config, options[index].name, optarg, &err) : 0;
                                break;
                        default: fputs("Try detritusd --help.\n", stderr); return EXIT_USAGE;
                        }
                        if (r != 0) {
                                complain(err.text);
                                return c == 'c' ? EXIT_FAILURE : EXIT_USAGE; /* a bad file, or a bad flag */
                        }
                }
        }
        return optind < argc ? complain("unexpected argument; try detritusd --help") : -1;
}

static void notify(const char *state)
{
#ifdef HAVE_SYSTEMD
        sd_notify(0, state);
#else
        (void)state;
#endif
}

static void raise_descriptor_limit(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

/* Returns on SIGTERM or SIGINT. While draining, a second one kills the process at once, and SIGHUP does nothing. */
static void wait_for_signals(struct detritus *server, const sigset_t *signals)
{
        for (int number; sigwait(signals, &number) == 0;) {
                if (number == SIGHUP) {
                        notify("RELOADING=1");
                        detritus_reload(server, NULL); /* a failure is logged, and the old tokens stay */
                        notify("READY=1");
                } else {
                        notify("STOPPING=1");
                        signal(SIGHUP, SIG_IGN);
                        sigprocmask(SIG_UNBLOCK, signals, NULL);
                        return;
                }
        }
}

static int serve(struct detritus_config *config)
{
        struct detritus_error err;
        struct detritus *server;
        sigset_t signals;

        umask(0027);
        raise_descriptor_limit();
        signal(SIGPIPE, SIG_IGN);
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        if (detritus_start(config, -1, &server, &err) != 0) {
                complain(err.text);
                return EXIT_FAILURE;
        }
        notify("READY=1");
        wait_for_signals(server, &signals);
        detritus_stop(server);
        return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        struct detritus_config *config;
        if (argc == 2 && strcmp(argv[1], "hash-token") == 0)
                return hash_token();
        if (detritus_config_new(&config) < 0)
                return complain("out of memory");
        int r = read_flags(argc, argv, config);
        if (r >= 0) {
                detritus_config_free(config);
                return r;
        }
        return serve(config);
}
