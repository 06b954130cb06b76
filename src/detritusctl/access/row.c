#include "detritusctl/access/row.h"

#include <errno.h>
#include <string.h>

#include "protocol/json/json_read.h"

/* A crash's context may be 32 deep (protocol/crash/crash_metadata.h), and json-c counts more levels than we do. */
#define DEPTH_MAX 64

int row_parse(const char *json, struct json_object **ret)
{
        int r = json_read_parse(json, strlen(json), DEPTH_MAX, ret);
        return r == JSON_READ_BAD ? -EBADMSG : r;
}
