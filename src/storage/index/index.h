#pragma once
/* The SQLite index of crashes, blobs, sources and log files: every statement this program runs lives in
 * index_statements.c or in sql/. Exactly one connection in the world writes (docs/architecture.md): a `struct index` opened for writing belongs
 * to the index writer's thread, or to detritusctl when it holds the data directory's lock.
 *
 * Functions return 0, -errno, or INDEX_* codes. SQLITE_FULL is -ENOSPC, SQLITE_IOERR and SQLITE_CORRUPT are -EIO,
 * SQLITE_NOMEM -ENOMEM, SQLITE_BUSY (someone else writes) -EBUSY, SQLITE_CONSTRAINT and SQLITE_TOOBIG (this row cannot
 * be stored) -EINVAL, everything else -EPROTO; the SQLite message is logged. Functions of one `struct index` are for
 * one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/crash/crash_metadata.h"
#include "storage/blobs/blob.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"

struct index;

enum { INDEX_TOO_NEW = 1 /* user_version is from a newer detritus; err says both */ };

/* Opens <data_dir>/detritus.db for writing, WAL, synchronous=FULL, foreign keys on, automatic checkpoints off; runs the
 * migrations of sql/ that user_version lacks, each in one transaction. *ret_created: there was no database, or
 * index_set_adopted() never said that the data directory's older files are in it. */
int index_open(const char *data_dir, struct index **ret, bool *ret_created, struct error *err);
/* Read-only, for people's tools: no migration, INDEX_TOO_NEW likewise. */
int index_open_readonly(const char *data_dir, struct index **ret, struct error *err);
struct index *index_free(struct index *x); /* NULL-safe; a writer checkpoints (TRUNCATE) first */
DEFINE_FREEP(index_free, struct index)

/* From now on the database is complete: the next index_open() says created = false. */
int index_set_adopted(struct index *x);

int index_begin(struct index *x);
int index_commit(struct index *x);
void index_rollback(struct index *x);
/* For one report inside a batch: undone alone when it fails. */
int index_savepoint(struct index *x);
int index_release(struct index *x);
int index_rollback_to(struct index *x); /* -ECANCELED: SQLite has undone the whole transaction already */

/* Runs a PASSIVE checkpoint when the WAL holds 1,000 pages or more, TRUNCATE past 16 MiB. Outside transactions. */
int index_checkpoint_if_due(struct index *x);
/* A PASSIVE one now, on a full disk: it lets the WAL begin anew, in the space that it has. What a transaction wrote there
 * in vain is freed before, for the database. Outside transactions. */
int index_checkpoint(struct index *x);

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

struct index_crash {
        const struct crash_metadata *metadata;
        struct moment received_at;
        struct index_blob_use dump;
        size_t n_attachments;
        const struct index_blob_use *attachments;
};

/* Is this report (same source, timestamp, dump hash) there already? *ret_id: its id, 0 when not. */
int index_has_crash(struct index *x, const struct crash_metadata *m, const char *dump_sha256, int64_t *ret_id);

/* Hands out a stored report as it was inserted, for its mirror file; cb's result is returned. -ENOENT. */
typedef int (*index_report_cb)(void *userdata, const struct index_crash *crash);
int index_read_crash(struct index *x, int64_t id, index_report_cb cb, void *userdata);

/* Source upserted, blobs upserted, crash and attachments inserted; triggers count references. Inside a transaction. */
int index_insert_crash(struct index *x, const struct index_crash *crash);

int index_has_blob(struct index *x, const char *sha256, bool *ret);
/* A file found on disk that no crash uses; kept when it is there. */
int index_add_blob(struct index *x, const char *sha256, uint64_t len, struct moment created_at);

/* Notes that a source's log file of a day now has so many bytes, and so many lines more than at the last call; and the
 * source itself. */
int index_upsert_log_file(struct index *x, const struct source *source, const char *platform, const char *version,
                          const char *day, uint64_t bytes, uint64_t lines_more, struct moment seen_at);
/* A file found on disk that the index may not know, its lines uncounted. A row already there is kept. */
int index_has_log_file(struct index *x, const struct source *source, const char *day, bool *ret);
int index_add_log_file(struct index *x, const struct source *source, const char *day, uint64_t bytes,
                       struct moment seen_at);

/* Corrects the totals of a file that is known: its size, and lines that were not counted; of a file of which no byte was
 * known these are all. */
int index_correct_log_file(struct index *x, int64_t source_id, const char *day, uint64_t bytes, uint64_t lines_more);

/* Its lines are in a compressed file of so many bytes now. */
int index_mark_compressed(struct index *x, int64_t source_id, const char *day, uint64_t bytes);
/* A compressed file found on disk that the index may not know. */
int index_add_compressed_log_file(struct index *x, const struct source *source, const char *day, uint64_t bytes,
                                  struct moment seen_at);

/* A token of this id was shown and found good. An older time than is there changes nothing. */
int index_upsert_token_use(struct index *x, const char *token_id, struct moment at);

/* What the janitor asks. Each returns at most `max` rows through the callback (0 goes on, else stops and is returned).
 * A row's strings live for the call only. */
struct index_expired_crash {
        int64_t id;
        const char *project, *install_id, *crashed_at, *dump_sha256;
};
typedef int (*index_crash_cb)(void *userdata, const struct index_expired_crash *row);
typedef int (*index_blob_cb)(void *userdata, const char *sha256, uint64_t len);
typedef int (*index_log_file_cb)(void *userdata, int64_t source_id, const char *project, const char *install_id,
                                 const char *day, uint64_t bytes);
/* Oldest first; held crashes never. */
int index_expired_crashes(struct index *x, struct moment received_before, unsigned max, index_crash_cb cb, void *ud);
int index_orphan_blobs(struct index *x, unsigned max, index_blob_cb cb, void *ud);
int index_expired_log_files(struct index *x, const char *day_before, unsigned max, index_log_file_cb cb, void *ud);
/* Plain ones, in the order of day and source, behind the one named. */
int index_plain_log_files(struct index *x, const char *day, int64_t source_id, const char *day_before, unsigned max,
                          index_log_file_cb cb, void *ud);
/* For caps: what a project has stored ("": all together), and its oldest crashes that are not held, its oldest log files. */
struct index_usage {
        uint64_t log_bytes, crash_bytes;
};
int index_usage(struct index *x, const char *project, struct index_usage *ret);
int index_project_crashes(struct index *x, const char *project, unsigned max, index_crash_cb cb, void *ud);
int index_project_log_files(struct index *x, const char *project, const char *day_before, unsigned max,
                            index_log_file_cb cb, void *ud);
int index_delete_crash(struct index *x, int64_t id);
int index_delete_blob(struct index *x, const char *sha256); /* only while refs = 0 */
int index_delete_log_file(struct index *x, int64_t source_id, const char *day);

/* What reconcile asks: every crash, every blob, in the order of their keys, a page behind the last one at a time. */
int index_crashes_behind(struct index *x, int64_t id, unsigned max, index_crash_cb cb, void *ud);
int index_blobs_behind(struct index *x, const char *sha256, unsigned max, index_blob_cb cb, void *ud);
/* And every plain log file of the newest day and the one before it, or of which no byte is known. */
int index_newest_log_files(struct index *x, const char *day, int64_t source_id, unsigned max, index_log_file_cb cb,
                           void *ud);

/* The last use of every token that ever was used. A cb that returns other than 0 stops, and that is returned. */
typedef int (*index_token_use_cb)(void *userdata, const char *token_id, const char *last_used_at);
int index_token_uses(struct index *x, index_token_use_cb cb, void *userdata);

/* What detritusctl asks. Each crash comes as one JSON object: for the list, the columns of crash_overview; for one, all
 * that is known. A cb that returns other than 0 stops, and that is returned. No statement is open while cb runs, so that
 * a reader who takes his time holds up no checkpoint. */
typedef int (*index_json_cb)(void *userdata, const char *json);

#define INDEX_TIME_SIZE 25 /* of our own times: milliseconds, NUL */

/* Where a page ended: the next one begins behind it. Zero-initialised: at the beginning. */
struct index_cursor {
        char at[INDEX_TIME_SIZE]; /* received_at of a crash, last_seen_at of a source; "": the beginning */
        int64_t id;
};

/* Which crashes. NULL: any. */
struct index_crash_filter {
        const char *project, *install_id, *platform, *version, *kind;
        const struct moment *since, *until; /* received at or after; before */
        const char *grep;                   /* panic_text has this, in lower or upper case (of ASCII) */
        uint64_t grep_depth;                /* so many crashes that fit else are looked at for it; 0: all */
};

struct index_page {
        size_t n;           /* handed out */
        bool more;          /* there are further ones behind `end` */
        bool looked_enough; /* grep_depth was reached: nobody knows what is behind `end` */
        uint64_t looked;    /* with grep: at so many panic texts */
        struct index_cursor end;
};

/* The newest receipt first, behind `after` (NULL: from the beginning), at most max (0: all). */
int index_list_crashes(struct index *x, const struct index_crash_filter *filter, const struct index_cursor *after,
                       size_t max, index_json_cb cb, void *userdata, struct index_page *ret);
int index_show_crash(struct index *x, int64_t id, index_json_cb cb, void *userdata); /* -ENOENT */
/* The ids of crashes whose dump's hash starts so (lower-case hex), newest first. */
int index_find_crashes(struct index *x, const char *hash_prefix, size_t max, int64_t *ret_ids, size_t *ret_n);

/* What operators ask for (index_operate.c). Which crashes or log files: those of a project, of one source of it, or all
 * that are older than something. */
struct index_scope {
        const char *project;    /* NULL: all; then neither of the next two */
        const char *install_id; /* NULL: all of the project */
        bool held_too;
        struct moment received_before; /* crashes */
        const char *day_before;        /* log files */
};

/* *ret_held tells too. -ENOENT. */
int index_crash_by_id(struct index *x, int64_t id, index_crash_cb cb, void *ud, bool *ret_held);
int index_set_held(struct index *x, int64_t id, bool held);
/* Of a project or a source, in no order that is promised. */
int index_purge_crashes(struct index *x, const struct index_scope *scope, unsigned max, index_crash_cb cb, void *ud);
int index_purge_log_files(struct index *x, const struct index_scope *scope, unsigned max, index_log_file_cb cb,
                          void *ud);
/* The install ids of a project behind one, in order. */
typedef int (*index_text_cb)(void *userdata, const char *text);
int index_project_sources(struct index *x, const char *project, const char *install_id, unsigned max, index_text_cb cb,
                          void *ud);
/* When it has neither crashes nor log files any more; *ret_deleted says whether. */
int index_delete_source(struct index *x, const char *project, const char *install_id, bool *ret_deleted);

/* What a deletion would delete. Reads all rows in question, in no transaction of the index writer's: for a read-only
 * index. */
struct index_survey {
        uint64_t crashes, blobs, blob_bytes, log_files, log_bytes;
        uint64_t held; /* crashes of the scope that stay because they are held */
};
int index_survey(struct index *x, const struct index_scope *scope, struct index_survey *ret);
/* Blobs that nothing uses, added. */
int index_survey_orphans(struct index *x, struct index_survey *add);

/* For a look at a data directory: crashes; sources and crashes since a moment, at most `max` each; and when the last
 * came. */
#define INDEX_NEWEST_SIZE 25
struct index_counts {
        uint64_t crashes, sources, crashes_since;
        char newest[INDEX_NEWEST_SIZE]; /* "": there is none */
};
int index_counts(struct index *x, unsigned max, struct moment since, struct index_counts *ret);

/* Who sends: today's log files, or the newest `max` crashes since a moment, by source. Strings live for the call only. */
struct index_activity {
        const char *project, *install_id;
        uint64_t bytes, lines; /* of the day's log file; lines 0: nobody counted */
        uint64_t crashes;      /* 0: this is about logs */
};
typedef int (*index_activity_cb)(void *userdata, const struct index_activity *row);
int index_log_activity(struct index *x, const char *day, unsigned max, index_activity_cb cb, void *ud);
int index_crash_activity(struct index *x, struct moment since, unsigned max, index_activity_cb cb, void *ud);

/* For following: a number that changes when somebody has committed something; the newest id; the crashes with greater
 * ids in their order, *id moving on. */
int index_data_version(struct index *x, int64_t *ret);
int index_newest_crash(struct index *x, int64_t *ret_id);
int index_new_crashes(struct index *x, const struct index_crash_filter *filter, int64_t *id, index_json_cb cb,
                      void *userdata);

/* Sources, the one heard from last first. project NULL: any. */
int index_list_sources(struct index *x, const char *project, const struct index_cursor *after, size_t max,
                       index_json_cb cb, void *userdata, struct index_page *ret);
int index_show_source(struct index *x, int64_t id, index_json_cb cb, void *userdata); /* -ENOENT */
/* The ids of the sources with this install_id; project NULL: in any. */
int index_find_sources(struct index *x, const char *project, const char *install_id, size_t max, int64_t *ret_ids,
                       size_t *ret_n);
