#pragma once
/* recovered/<project>/<install_id>/<day>.ndjson: acknowledged lines whose own log file cannot be written (its
 * permissions, a directory with its name, ...). A person has to look at them; the log says where they are. */

#include <stdbool.h>

#include "protocol/source.h"
#include "util/buf.h"

/* Whether the error is of that kind: another attempt would not help. */
bool log_recovered_is_for(int error);
/* Appends the lines and syncs them. `why` is the error of the log file. 0 or -errno. */
int log_recovered_append(int datadir_fd, const struct source *source, const char *day, const struct buf *lines,
                         int why);
