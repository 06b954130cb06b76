#pragma once
/* What was deleted, or would be: the answer of an operation as a few lines, or as JSON. */

#include <json.h>

#include "detritusctl/cli/command.h"

/* title: "purged acme". 0 or -errno. */
int receipt_print(const struct ctl *ctl, const char *title, struct json_object *answer);
