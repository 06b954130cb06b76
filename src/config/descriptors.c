#include "config/descriptors.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/resource.h>

static unsigned at_most(uint64_t wanted, uint64_t max)
{
        return (unsigned)(wanted < max ? wanted : max);
}

int descriptors_share(const struct config_limits *limits, uint64_t limit, struct descriptors *ret, struct error *err)
{
        /* A dump, its attachments, and the JSON file. */
        uint64_t uploads = (uint64_t)limits->uploads * (2 + (uint64_t)limits->multipart_parts);
        if (limit < DESCRIPTORS_MIN) {
                error_set(err,
                          "at most %" PRIu64 " files may be open, and at least %d are needed: raise LimitNOFILE or "
                          "`ulimit -n`",
                          limit, DESCRIPTORS_MIN);
                return -EMFILE;
        }
        *ret = (struct descriptors){ .limit = limit,
                                     .log_files = at_most(limits->log_files_open, limit / 4),
                                     .uploads = at_most(uploads, limit / 4) };
        ret->connections = at_most(limits->connections, limit - DESCRIPTORS_FIXED - ret->log_files - ret->uploads);
        return 0;
}

int descriptors_share_ours(const struct config_limits *limits, struct descriptors *ret, struct error *err)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return error_cannot(err, -errno, "read the limit of open files", NULL);
        return descriptors_share(limits, limit.rlim_cur, ret, err);
}
