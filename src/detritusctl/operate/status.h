#pragma once
/* What `status` knows, as one JSON document, and as a screen. */

#include <json.h>

#include "detritusctl/cli/command.h"

struct json_object *status_gather(const struct ctl *ctl); /* the caller's */
/* A daemon runs and takes everything, and the database can be read. */
bool status_is_fine(struct json_object *status);
void status_print(struct json_object *status);
