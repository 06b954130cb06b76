#include "detritusctl/cli/row.h"

#include <errno.h>
#include <string.h>

#include "protocol/json/json_read.h"

#define DEPTH_MAX 1024 /* of a crash's context, above all */

int row_parse(const char *json, struct json_object **ret)
{
        int r = json_read_parse(json, strlen(json), DEPTH_MAX, ret);
        return r == JSON_READ_BAD ? -EBADMSG : r;
}
