#pragma once
/* A whole store below retention: a real index, real files, the real writer and log committer. */

#include "storage_fixture.h"

#include "config/config.h"
#include "storage/retention/deletion.h"
#include "util/cleanup.h"

#define DAY_SECS 86400

extern struct blob_store *blobs;
extern struct metrics *metrics;
extern struct index_writer *writer;
extern struct log_committer *logs;
extern struct config config; /* 14 days of logs, 90 of crashes */
extern struct deletion_stores stores;
extern atomic_bool untidy;

int retention_setup(void **state);
int retention_teardown(void **state);

/* Stores a report of project "acme" and waits for it; its result. Any thread. */
int put(const char *install_id, const char *timestamp, const char *dump, const char *attachment,
        struct moment received_at);
/* Dumps of ten bytes, "dump 00000" and so on, of INSTALL_A; each received an hour after the one before, from ten days
 * ago on. */
void put_tens(unsigned n, const char *attachment);
/* A log file's row of 6 bytes, and the file itself when asked. */
void put_log_file(const char *install_id, unsigned days, bool file);

struct moment days_ago(unsigned days);
bool blob_exists(const char *content);
void expect_consistent(void); /* what the index says is what is on disk */
