#pragma once
/* Proves that a data directory is whole. Checks the database itself, counts refs and usage again, and compares each
 * blob, JSON file and log file with its row, both ways. Read-only. One thread.
 *
 * Beside a running daemon, files and rows come and go. A finding that the daemon may be about to put right is checked
 * again at the end, VERIFY_SETTLE_MS or more after it was first seen. What is younger than VERIFY_YOUNG_SECS may still
 * be on its way, and is passed over. */

#include "storage/index/index.h"

#define VERIFY_SETTLE_MS 2000
#define VERIFY_YOUNG_SECS 60

enum verify_kind {
        VERIFY_DATABASE,         /* SQLite's own checks */
        VERIFY_COUNT,            /* refs, blob_use, usage or crash_count */
        VERIFY_BLOB_MISSING,     /* a row without its file */
        VERIFY_BLOB_LENGTH,      /* a file of another length than its row says */
        VERIFY_BLOB_CORRUPT,     /* deep: its bytes are not those of its name */
        VERIFY_BLOB_ORPHAN,      /* a file without a row */
        VERIFY_MIRROR_MISSING,   /* a crash without its JSON file */
        VERIFY_MIRROR_DIFFERENT, /* a JSON file that differs from the row */
        VERIFY_MIRROR_EXTRA,     /* a JSON file without a crash */
        VERIFY_LOG_MISSING,      /* a row without its file */
        VERIFY_LOG_SIZE,         /* a file of another size than its row says */
        VERIFY_LOG_UNKNOWN,      /* a file without a row */
        VERIFY_LOG_TORN,         /* the last line has no end */
        VERIFY_LOG_DAMAGED,      /* deep: lines that are not JSON, or cannot be decompressed */
        VERIFY_UNREADABLE,       /* a file or row that cannot be read */
        VERIFY_KIND_MAX_
};
const char *verify_kind_name(enum verify_kind kind); /* "blob_missing" */
bool verify_kind_parse(const char *name, enum verify_kind *ret);

struct verify_finding {
        enum verify_kind kind;
        const char *what;    /* a path below the data directory, or a part of the database */
        const char *problem; /* in words */
        int64_t id;          /* of the crash, for MIRROR_MISSING and MIRROR_DIFFERENT */
};

struct verify_config {
        bool deep;                                                            /* hash every blob, parse every line */
        int (*finding)(void *userdata, const struct verify_finding *finding); /* other than 0 ends it; borrowed */
        /* Called every VERIFY_PROGRESS_FILES and at the end of a step. May be NULL. all is 0 if it is unknown,
         * else at least done. */
        void (*progress)(void *userdata, const char *step, uint64_t done, uint64_t all);
        void *userdata;
        bool held; /* the caller holds the lock of the data directory, so no daemon runs */
};

struct verify_counts {
        uint64_t found[VERIFY_KIND_MAX_];
        uint64_t findings;
        uint64_t crashes, blobs, blob_bytes, mirrors, log_files, log_bytes, log_lines; /* checked */
        bool daemon;                                                                   /* a daemon was running */
};

/* The index may be read-only. 0, what finding() returned, or -errno: not everything was checked. */
int verify_data_dir(int datadir_fd, struct index *index, const struct verify_config *config, struct verify_counts *ret);

/* Has the blob this length, and the bytes that its name says? 0; VERIFY_BYTES_WRONG; -ENOENT, -errno. */
enum { VERIFY_BYTES_WRONG = 1 };
int verify_blob_bytes(int datadir_fd, const char *sha256, uint64_t len);
