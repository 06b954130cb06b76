#include "detritusctl/crashes/crash_ids.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/ctl.h"
#include "detritusctl/cli/say.h"
#include "storage/index/index_list.h"
#include "storage/index/index_read.h"
#include "util/text/hex.h"

#define PREFIX_MIN 4
#define HASH_DIGITS 64
#define CANDIDATES_MAX 10

static int say_candidates(const int64_t *ids, size_t n)
{
        char text[CANDIDATES_MAX * 24];
        size_t used = 0;
        for (size_t i = 0; i < n; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, " %lld", (long long)ids[i]);
        return say_failed("several crashes have a dump whose hash begins like this; name one by its id:%s%s", text,
                          n == CANDIDATES_MAX ? " ..." : "");
}

/* In upper case it is the same hash. */
static const char *lower_case(const char *what, char ret[HASH_DIGITS + 1])
{
        size_t n = 0;
        for (; what[n] && n < HASH_DIGITS; n++)
                ret[n] = (char)tolower((unsigned char)what[n]);
        ret[n] = '\0';
        return what[n] ? what : ret;
}

int crash_ids_find(struct index *x, const char *typed, int64_t *ret)
{
        char lower[HASH_DIGITS + 1];
        const char *what = lower_case(typed, lower);
        int64_t ids[CANDIDATES_MAX], id = arg_id(what);
        size_t n = 0, len = strlen(what);
        bool held;
        int r = id >= 0 ? index_crash_by_id(x, id, NULL, NULL, &held) : -ENOENT;
        if (r == -ENOENT && len >= PREFIX_MIN && len <= HASH_DIGITS && hex_is_lower(what, len)) {
                r = index_find_crashes(x, what, CANDIDATES_MAX, ids, &n);
                if (r == 0 && n > 1)
                        return say_candidates(ids, n);
                if (r == 0)
                        r = n == 1 ? 0 : -ENOENT;
                if (r == 0)
                        id = ids[0];
        }
        if (r == -ENOENT)
                return say_failed("there is no crash %s", typed);
        if (r < 0)
                return say_error("read the database", r);
        *ret = id;
        return CTL_OK;
}
