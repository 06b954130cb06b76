#pragma once
/* Files of our own that we may not use: a directory that belongs to root after a restore, a mode, a read-only file
 * system. What was refused because of one is on the board of troubles until its permissions are right again. Besides,
 * the places that everything needs are looked at all the time, so that health says it before a request is refused. */

#include "util/troubles.h"

enum denied_what { DENIED_LOGS, DENIED_CRASHES };

/* A call on path, relative to the data directory, failed with this -errno, so something was refused. When the errno is
 * about permission (failure_is_denial()), it goes on the board, with the first directory or file on the way that denies
 * it. Nothing else happens otherwise. Does not block, but for stat calls. Any thread. */
void denied_report(struct troubles *t, int datadir_fd, enum denied_what what, const char *path, int error);

/* Looks at what is on the board, and at what everything needs: takes off what is over. Any thread. */
void denied_look(struct troubles *t, int datadir_fd);
