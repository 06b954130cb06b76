#pragma once
/* A crash report's metadata back to text; crash_metadata.c's other half. Text is compact, lives in the arena and is
 * NUL-terminated; doubles stand as they were sent. 0 or -ENOMEM. */

#include <json-c/json.h>

#include "protocol/crash/crash_metadata.h"
#include "util/arena.h"

int crash_metadata_print(struct json_object *value, struct arena *arena, const char **ret);

/* The whole document in the reference's order of keys, null for an optional one that is absent, then the unknown ones as
 * they came; with m's install_id and timestamp. root: checked already. */
int crash_metadata_print_document(struct json_object *root, const struct crash_metadata *m, struct arena *arena,
                                  const char **ret);
