/* The receiver inside your own program: binds a port that the kernel chooses, takes one request, shuts down.
 *
 *     cc embed_server.c $(pkg-config --cflags --libs detritus)
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libdetritus/detritus.h"

static int fail(const char *what, const char *why)
{
        fprintf(stderr, "%s: %s\n", what, why);
        return EXIT_FAILURE;
}

/* 127.0.0.1 and a free port. */
static int listen_anywhere(void)
{
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 16) < 0)) {
                close(fd);
                fd = -1;
        }
        return fd;
}

/* One entry, for a token that this program makes up. */
static int write_tokens(const char *path, const char *token)
{
        struct detritus_error err;
        char phc[512];
        if (detritus_hash_token(token, phc, sizeof(phc), &err) != 0)
                return fail("hash_token", err.text);
        FILE *f = fopen(path, "we");
        if (!f)
                return fail("fopen", path);
        fprintf(f, "[[token]]\nid = \"example\"\nsecret = \"%s\"\nproject = \"acme\"\nsource_prefix = \"acme/\"\n",
                phc);
        return fclose(f) == 0 ? 0 : EXIT_FAILURE;
}

static int ask_health(const struct sockaddr_in *server)
{
        static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        char answer[4096];
        size_t len = 0;
        ssize_t n;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)server, sizeof(*server)) < 0 ||
            write(fd, request, sizeof(request) - 1) != (ssize_t)sizeof(request) - 1)
                return fail("connect", "no connection");
        while (len < sizeof(answer) - 1 && (n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0)
                len += (size_t)n;
        close(fd);
        answer[len] = '\0';
        printf("GET /healthz -> %.*s\n", (int)strcspn(answer, "\r"), answer);
        return strncmp(answer, "HTTP/1.1 204", 12) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(void)
{
        char dir[] = "/tmp/detritus-embed-XXXXXX", data[64], tokens[64];
        struct detritus_config *config;
        struct detritus_error err;
        struct detritus *server;
        struct sockaddr_in address;
        socklen_t len = sizeof(address);

        if (!mkdtemp(dir))
                return fail("mkdtemp", dir);
        snprintf(data, sizeof(data), "%s/data", dir);
        snprintf(tokens, sizeof(tokens), "%s/tokens.toml", dir);
        if (write_tokens(tokens, "not a secret") != 0)
                return EXIT_FAILURE;

        int fd = listen_anywhere();
        if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
                return fail("listen", "no socket");

        if (detritus_config_new(&config) < 0 || detritus_config_set(config, "data-dir", data, &err) != 0 ||
            detritus_config_set(config, "tokens-config", tokens, &err) != 0)
                return fail("config", err.text);
        if (detritus_start(config, fd, &server, &err) != 0) /* takes config and fd */
                return fail("start", err.text);
        printf("detritus %s on %s\n", detritus_version(), detritus_address(server, 0));

        int status = ask_health(&address);
        detritus_stop(server);
        printf("stopped; what it kept is in %s\n", dir);
        return status;
}
