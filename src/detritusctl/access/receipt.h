#pragma once
/* The receipt of a deletion: what was deleted, or would be, as a few lines or as JSON. */

#include <json.h>

#include "detritusctl/cli/ctl.h"

/* The answer of an operation, after the title ("purged: acme"). 0 or -errno. */
int receipt_print(const struct ctl *ctl, const char *title, struct json_object *answer);
