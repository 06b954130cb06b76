#pragma once
/* A data directory in a temporary place, reports to put into it, and what tests ask of it. What the stores call on the
 * disk is wrapped at link time (tests/meson.build), so that a test chooses what fails. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/writer/index_writer.h"

/* Counted down; the call that reaches zero fails so, and so does each later one while sticky. 0: none. */
struct storage_faults {
        atomic_int sync_fails_at, sync_error;         /* durable_sync() */
        atomic_int dir_sync_fails_at, dir_sync_error; /* durable_sync_dir() */
        atomic_int sync_all_fails_at, sync_all_error; /* durable_sync_all() */
        atomic_int syncs, dir_syncs, all_syncs;
        atomic_int commit_full_above; /* index_commit() after more crashes deleted than that says ENOSPC; < 0: never */
        atomic_bool no_tmpfile;       /* openat(O_TMPFILE) says EOPNOTSUPP */
};
extern struct storage_faults storage_faults;

extern char storage_dir[128];
extern int storage_fd;

int storage_setup(void **state);
int storage_teardown(void **state);

bool storage_exists(const char *path);
size_t storage_count(const char *path); /* regular files at and below */
void storage_put(const char *path, const char *text);
void storage_make_dirs(const char *path);
char *storage_text(const char *path); /* to be freed; NULL: no such file */

/* The first column of the first row, read on a connection of its own; "" when there is none. */
void storage_expect(const char *sql, const char *expected);
void storage_change(const char *sql); /* by a hand at the prompt, while no index is open */

#define INSTALL_A "3f2b8c1e-0000-4000-8000-00000000000a"
#define INSTALL_B "3f2b8c1e-0000-4000-8000-00000000000b"
#define TIME_1 "2026-05-19T08:30:00Z"
#define TIME_2 "2026-05-19T08:30:00.5Z"

/* Of project "acme", version "1.4.2"; declares the attachments "a" (a.txt), "b" and "c". */
struct crash_metadata *storage_metadata(const char *install_id, const char *timestamp);
void storage_metadata_free(struct crash_metadata **m);

/* Received and finished. */
struct blob_writer *storage_blob(struct blob_store *s, const char *content);

/* Its attachments a, b, c have the contents given, up to the first NULL. */
struct crash_report *storage_report(struct blob_store *s, const char *install_id, const char *timestamp,
                                    const char *dump, const char *const attachments[3]);

/* index_upsert_log_file() */
int storage_log_file(struct index *x, const struct source *source, const char *platform, const char *version,
                     const char *day, uint64_t bytes, uint64_t lines_more, struct moment seen_at);

/* sha256 of a text. */
const char *storage_hash(const char *content, char ret[BLOB_HEX_SIZE]);

/* Retention cycles that ended since the test began, and how many of them failed. */
unsigned storage_cycles(void);
unsigned storage_failed_cycles(void);
void storage_await_cycles(unsigned n);
