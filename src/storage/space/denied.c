#include "storage/space/denied.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/files/failure.h"

/* Every new log file or crash goes through these, or the next start does. */
static const char *const places[] = {
        ".", "logs", "journal", "tmp", "crashes/by-hash", "crashes/by-source", "detritus.db", "detritus.db-wal"
};

static int may(int dirfd, const char *path, int how)
{
        return faccessat(dirfd, path, how, AT_EACCESS) < 0 ? -errno : 0;
}

/* Something is to be made or written there. */
static int check_last(int dirfd, const char *path)
{
        struct stat st;
        if (fstatat(dirfd, path, &st, 0) < 0)
                return -errno;
        return may(dirfd, path, S_ISDIR(st.st_mode) ? W_OK | X_OK : R_OK | W_OK);
}

/* 0, or the -errno of the first directory or file on the way that denies us, whose path goes to ret. What is missing
 * would be made in the directory above. */
static int find(int dirfd, const char *path, char ret[TROUBLE_PATH_SIZE])
{
        char above[TROUBLE_PATH_SIZE] = ".";
        snprintf(ret, TROUBLE_PATH_SIZE, "%s", path);
        for (char *slash = strchr(ret, '/');; slash = strchr(slash + 1, '/')) {
                if (slash)
                        *slash = '\0';
                int r = slash ? may(dirfd, ret, X_OK) : check_last(dirfd, ret);
                if (r == -ENOENT) {
                        snprintf(ret, TROUBLE_PATH_SIZE, "%s", above);
                        return check_last(dirfd, ret);
                }
                if (r < 0 || !slash)
                        return r;
                snprintf(above, sizeof(above), "%s", ret);
                *slash = '/';
        }
}

/* One project's, or one source's? */
static bool is_of_a_source(const char *path)
{
        return strncmp(path, "logs/", 5) == 0;
}

void denied_report(struct troubles *t, int datadir_fd, enum denied_what what, const char *path, int error)
{
        char culprit[TROUBLE_PATH_SIZE];
        if (!t || !failure_is_denial(error))
                return;
        int found = find(datadir_fd, path, culprit);
        if (!failure_is_denial(found)) { /* it is over already, or cannot be seen so */
                found = error;
                snprintf(culprit, sizeof(culprit), "%s", path);
        }
        troubles_set(t,
                     what == DENIED_CRASHES    ? TROUBLE_CRASHES_DENIED
                     : is_of_a_source(culprit) ? TROUBLE_SOURCE_DENIED
                                               : TROUBLE_LOGS_DENIED,
                     culprit, "%s", strerror(-found));
}

static void look_again(struct troubles *t, int datadir_fd, enum trouble_kind kind)
{
        struct trouble trouble;
        char culprit[TROUBLE_PATH_SIZE];
        if (troubles_get(t, kind, &trouble) && !failure_is_denial(find(datadir_fd, trouble.path, culprit)))
                troubles_clear(t, kind);
}

static void look_at_places(struct troubles *t, int datadir_fd)
{
        char culprit[TROUBLE_PATH_SIZE];
        for (size_t i = 0; i < ARRAY_LEN(places); i++) {
                int r = find(datadir_fd, places[i], culprit);
                if (!failure_is_denial(r))
                        continue;
                troubles_set(t, TROUBLE_FILES_DENIED, culprit, "%s", strerror(-r));
                return;
        }
        troubles_clear(t, TROUBLE_FILES_DENIED);
}

void denied_look(struct troubles *t, int datadir_fd)
{
        if (!t)
                return;
        look_again(t, datadir_fd, TROUBLE_LOGS_DENIED);
        look_again(t, datadir_fd, TROUBLE_CRASHES_DENIED);
        look_again(t, datadir_fd, TROUBLE_SOURCE_DENIED);
        look_at_places(t, datadir_fd);
}
