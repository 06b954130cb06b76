#pragma once
/* What people type for a project or an installation, and the names that exist: in the directories of logs and
 * crashes, or in the database. An installation may be named by project/install, in any case, or by the beginning of
 * its id if only one begins so. */

#include "protocol/source.h"

struct names {
        char project[SOURCE_COMPONENT_MAX + 1], install_id[SOURCE_COMPONENT_MAX + 1]; /* "": not asked for */
};

/* project and install_id are what was typed; NULL: not given. CTL_OK and *ret; CTL_USAGE for two different projects;
 * CTL_FAILED after a message that says what does not exist, and what is nearest to it, or which ones it might be. */
int names_find(const char *data_dir, const char *project, const char *install_id, struct names *ret);
