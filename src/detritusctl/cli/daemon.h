#pragma once
/* The daemon on a data directory, if one runs. */

#include <sys/types.h>

/* Who holds the directory's lock; *ret_pid 0: nobody. 0 or -errno. */
int daemon_find(const char *data_dir, pid_t *ret_pid);
