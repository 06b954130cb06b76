/* What an import cannot take, and must not pass over without a word: things in the other directory that are no data of
 * ours, and lines that only its journal has. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "storage/logs/journal.h"
#include "upkeep/import_internal.h"
#include "util/files/entries.h"
#include "util/files/regular.h"

static bool is_one_of(const char *name, const char *const *names)
{
        while (*names && strcmp(name, *names) != 0)
                names++;
        return *names != NULL;
}

static int look_at(struct import *i, const char *path, const char *name, const char *const *known)
{
        struct stat st;
        struct error why;
        if (is_one_of(name, known) || fstatat(i->from_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode) ||
            S_ISREG(st.st_mode))
                return 0;
        error_set(&why, "it is %s, and has no place here", regular_kind(st.st_mode));
        import_leave_other(i, path, why.text);
        return 0;
}

/* Those that are looked at elsewhere. */
static int look_at_top(void *userdata, const char *path, const char *name)
{
        static const char *const known[] = { "detritus.db", "detritus.db-wal", "detritus.db-shm", "detritus.db-journal",
                                             "logs",        "crashes",         "control.sock",    NULL };
        return look_at(userdata, path + strspn(path, "./"), name, known);
}

static int look_at_crashes(void *userdata, const char *path, const char *name)
{
        static const char *const known[] = { "by-hash", "by-source", NULL };
        return look_at(userdata, path, name, known);
}

/* A daemon that was killed leaves lines there; the next start takes them into the log files. */
static void look_at_journal(struct import *i)
{
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++) {
                char path[JOURNAL_PATH_SIZE];
                struct journal_segment head;
                _cleanup_(closep) int fd = -1;
                journal_path(slot, path);
                if (regular_open(i->from_fd, path, &fd, NULL) == 0 && journal_read_head(fd, &head) == 0 && head.live)
                        import_leave_other(i, path,
                                           "it holds log lines that may not be in their files yet; start and "
                                           "stop detritusd on that directory first");
        }
}

static int look_at_recovered(void *userdata, const char *path, _unused_ const char *name)
{
        import_leave_other(userdata, path, "lines whose own log file could not be written; copy them by hand");
        return 0;
}

int import_others(struct import *i)
{
        int r = entries_each(i->from_fd, ".", look_at_top, i);
        if (r == 0)
                r = entries_each(i->from_fd, "crashes", look_at_crashes, i);
        if (r == 0)
                r = entries_each_below(i->from_fd, "recovered", 2, look_at_recovered, i);
        look_at_journal(i);
        return r < 0 && import_ends(r) ? r : 0;
}
