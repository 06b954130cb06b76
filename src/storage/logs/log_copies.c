#include "storage/logs/log_copies.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/files/entries.h"
#include "util/files/regular.h"

struct search {
        struct log_copies *copies;
        int datadir_fd;
        const char *day;
        bool of_the_day; /* only names that begin with the day, or only others */
};

/* "<day>.ndjson", "<day>.ndjson.torn", "<day>.ndjson.zst": of any day. The same lines may well be at the same offset of
 * another day's file. */
static bool is_named_like_a_log(const char *name)
{
        static const char *const suffixes[] = { ".ndjson", ".ndjson.torn", ".ndjson.zst" };
        size_t day_len = strspn(name, "0123456789-");
        for (size_t i = 0; day_len == CLOCK_DAY_SIZE - 1 && i < ARRAY_LEN(suffixes); i++) {
                if (strcmp(name + day_len, suffixes[i]) == 0)
                        return true;
        }
        return false;
}

static int look_at(void *userdata, const char *path, const char *name)
{
        struct search *s = userdata;
        bool of_the_day = strncmp(name, s->day, strlen(s->day)) == 0;
        if (of_the_day != s->of_the_day || is_named_like_a_log(name) || s->copies->n == LOG_COPIES_MAX)
                return 0;
        int fd = -1;
        if (regular_open(s->datadir_fd, path, &fd, NULL) == 0)
                s->copies->fds[s->copies->n++] = fd;
        return 0;
}

void log_copies_open(struct log_copies *c, int datadir_fd, const struct log_replay_file *file)
{
        struct search s = { c, datadir_fd, file->day, .of_the_day = true };
        char dir[sizeof("logs/") + SOURCE_CANONICAL_SIZE];
        snprintf(dir, sizeof(dir), "logs/%s/%s", file->source.project, file->source.install_id);
        entries_each(datadir_fd, dir, look_at, &s);
        s.of_the_day = false;
        entries_each(datadir_fd, dir, look_at, &s);
}

void log_copies_add(struct log_copies *c, int fd)
{
        int copy = c->n < LOG_COPIES_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        if (copy >= 0)
                c->fds[c->n++] = copy;
}

size_t log_copies_have(const struct log_copies *c, const struct log_replay *r, const struct log_replay_piece *p,
                       size_t from)
{
        for (unsigned i = 0; i < c->n; i++) {
                size_t same = 0;
                if (log_replay_compare(r, p, from, c->fds[i], UINT64_MAX, &same) == 0 && same > 0)
                        return same;
        }
        return 0;
}

void log_copies_done(struct log_copies *c)
{
        while (c->n > 0)
                close(c->fds[--c->n]);
}
