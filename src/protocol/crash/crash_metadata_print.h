#pragma once
/* From a crash report's metadata back to text; the other half of crash_metadata.c. The text is compact, in the arena,
 * and NUL-terminated. Doubles have the digits that were sent. 0 or -ENOMEM. */

#include <json-c/json.h>

#include "protocol/crash/crash_metadata.h"
#include "util/arena.h"

int crash_metadata_print(struct json_object *value, struct arena *arena, const char **ret);

/* The whole document: the known keys in the order of detritus-server 0.1.0, null where an optional one is absent, then
 * the unknown keys in their own order. install_id and timestamp are those of m. root was checked before. */
int crash_metadata_print_document(struct json_object *root, const struct crash_metadata *m, struct arena *arena,
                                  const char **ret);
