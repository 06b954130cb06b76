#pragma once
/* The daemon on a data directory, if one runs: who it is, and what it answers on its control socket. */

#include <json.h>
#include <sys/types.h>

#include "detritusctl/cli/ctl.h"

/* Who holds the directory's lock; *ret_pid 0: nobody. 0 or -errno. */
int daemon_find(const char *data_dir, pid_t *ret_pid);

/* A connection to the control socket, or -errno. -ECONNREFUSED: nobody listens there. -ENOENT: there is no such
 * directory. -ETIMEDOUT: the daemon accepts no connection. */
int daemon_connect(const char *data_dir);

/* Sends one request (a JSON object on one line) and passes each line of the answer to on_line, until that returns other
 * than 0: DAEMON_ANSWERED after the last line. Returns that value, or -errno; -EPIPE: the daemon closed the connection
 * before. */
enum { DAEMON_ANSWERED = 1 };
typedef int (*daemon_on_line)(void *userdata, const char *line);
int daemon_converse(int fd, const char *request, daemon_on_line on_line, void *userdata);

/* The answer to a request that the daemon answers at once, in one line; the caller's, json_read_free(). 0, or -errno as
 * for daemon_connect(). Prints nothing. */
int daemon_ask(const char *data_dir, const char *request, struct json_object **ret_answer);
bool daemon_answers(const char *data_dir); /* a ping */
