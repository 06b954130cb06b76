#pragma once
/* The daemon on a data directory, if one runs. */

#include <sys/types.h>

/* Who holds the directory's lock; *ret_pid 0: nobody. 0 or -errno. */
int daemon_find(const char *data_dir, pid_t *ret_pid);

/* Has it read its tokens again (SIGHUP); *ret_pid: whom. 0; DAEMON_ABSENT: nobody holds the directory's lock;
 * DAEMON_STRANGER: somebody does who is no detritusd, and was left alone; -errno (-EPERM: not ours to tell). */
enum { DAEMON_ABSENT = 1, DAEMON_STRANGER };
int daemon_reload_tokens(const char *data_dir, pid_t *ret_pid);
