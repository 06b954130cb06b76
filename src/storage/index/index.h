#pragma once
/* The SQLite index of crashes, blobs, sources and log files: opening and closing it, and what its headers share. What
 * can be done with it is in further headers, cut by who calls:
 *
 *   index_write.h      whoever writes: the index writer, the start, repairs
 *   index_read.h       single rows by their keys; all rows, a page at a time
 *   index_retention.h  retention, and deletions
 *   index_operate.h    what operators order
 *   index_list.h       lists for people
 *   index_check.h      verifying and repairing (upkeep/)
 *   index_copy.h       copies of a database (upkeep/)
 *   index_query.h      SQL that people write
 *
 * Exactly one connection in the world writes (docs/architecture.md): a `struct index` opened for writing belongs to the
 * index writer's thread, or to detritusctl when it holds the data directory's lock. One thread at a time calls the
 * functions of a `struct index`.
 *
 * Functions return 0, -errno, or INDEX_* codes. SQLITE_FULL is -ENOSPC; SQLITE_IOERR of a write or a sync and
 * SQLITE_CORRUPT are -EIO, which is final; other SQLITE_IOERR -EAGAIN, SQLITE_NOMEM -ENOMEM, SQLITE_BUSY (someone else
 * writes) -EBUSY, SQLITE_CONSTRAINT and SQLITE_TOOBIG (this row cannot be stored) -EINVAL, everything else -EPROTO; the
 * SQLite message is logged. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/crash/crash_metadata.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"

struct index;

enum {
        INDEX_TOO_NEW = 1, /* user_version is from a newer detritus; err says both */
        INDEX_TOO_OLD,     /* from before the first release; err says how to move it over */
};

/* Opens <data_dir>/detritus.db for writing, WAL, synchronous=FULL, foreign keys on, automatic checkpoints off; runs the
 * migrations of sql/ that user_version lacks, each in one transaction. *ret_created: there was no database, or
 * index_set_adopted() never said that the data directory's older files are in it. */
int index_open(const char *data_dir, struct index **ret, bool *ret_created, struct error *err);
/* Read-only, for people's tools: no migration, the same codes. */
int index_open_readonly(const char *data_dir, struct index **ret, struct error *err);
struct index *index_free(struct index *x); /* NULL-safe; a writer checkpoints (TRUNCATE) first */
DEFINE_FREEP(index_free, struct index)

/* From now on the database is complete: the next index_open() says created = false. */
int index_set_adopted(struct index *x);

/* One file of a report, as it was stored. Strings are borrowed. */
struct index_blob_use {
        const char *sha256;
        uint64_t len;
        const char *content_encoding; /* NULL: none */
        bool dedup;                   /* the blob was there before */
        const char *key;              /* attachments only, as are the next two */
        const char *filename;         /* NULL: none */
        const char *content_type;
};

/* A report. */
struct index_crash {
        const struct crash_metadata *metadata;
        struct moment received_at;
        struct index_blob_use dump;
        size_t n_attachments;
        const struct index_blob_use *attachments;
};

/* Rows come through callbacks: one that returns other than 0 stops, and its result is returned. A row's strings live
 * for the call only. */
struct index_crash_row {
        int64_t id;
        const char *project, *install_id, *crashed_at, *dump_sha256;
        bool held; /* it never expires */
};
typedef int (*index_crash_cb)(void *userdata, const struct index_crash_row *row);

struct index_log_file {
        int64_t source_id;
        const char *project, *install_id, *day;
        uint64_t bytes;
        bool compressed;
};
typedef int (*index_log_file_cb)(void *userdata, const struct index_log_file *row);

/* After which log file a page begins, in the order of day and source. The callback may change it. */
struct index_log_file_key {
        const char *day; /* "": at the beginning */
        int64_t source_id;
};

typedef int (*index_blob_cb)(void *userdata, const char *sha256, uint64_t len);
