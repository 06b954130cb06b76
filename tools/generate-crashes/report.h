#pragma once
/* One crash report of a world, and the content of the files that it names. */

#include "storage/blobs/blob.h"
#include "storage/index/index.h"
#include "util/buf.h"
#include "world.h"

#define REPORT_ATTACHMENTS_MAX 3

/* What a file's content follows from; the same two make the same content. */
struct report_file {
        char kind;       /* 'd'ump, 'l'og, 's'creenshot, 'c'onfig */
        uint64_t number; /* dumps, logs, screenshots: of the first crash that had it; configs: which of them */
        uint64_t len;
        char sha256[BLOB_HEX_SIZE];
};

struct report {
        struct world_source source;
        struct crash_metadata metadata; /* its strings are in here */
        struct index_crash crash;       /* likewise */
        struct report_file dump, attachments[REPORT_ATTACHMENTS_MAX];
        struct index_blob_use uses[REPORT_ATTACHMENTS_MAX];
        struct crash_manifest manifest[REPORT_ATTACHMENTS_MAX];
        bool held;
        char version[16], git_sha[8], panic_text[512], context[512];
        struct buf json; /* zero at first; kept from report to report */
};

struct reporter {
        const struct world *world;
        uint64_t bytes;     /* of a dump, on average */
        bool whole_content; /* hash all of a file; else a name for it, since the file is not made */
        uint8_t *seen;      /* dumps whose blob is there, by number: for dedup */
        bool configs_seen[1024];
};

/* Crash `number` of the world; to be called with 0, 1, 2, … r is overwritten. 0 or -errno. */
int report_make(struct reporter *x, uint64_t number, struct report *r);
/* All bytes of a file. */
int report_content(const struct world *w, const struct report_file *f, struct buf *ret);
