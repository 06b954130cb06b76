#include "retention_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/retention/step.h"

struct blob_store *blobs;
struct metrics *metrics;
struct index_writer *writer;
struct log_committer *logs;
struct config config;
struct deletion_stores stores;
atomic_bool untidy;

static struct log_totals *totals;

int retention_setup(void **state)
{
        struct index *index;
        bool created;
        if (storage_setup(state) != 0 || blob_store_new(storage_fd, &blobs) != 0 ||
            index_open(storage_dir, &index, &created, NULL) != 0)
                return -1;
        metrics = metrics_new();
        struct index_writer_config writing = {
                .datadir_fd = storage_fd,
                .blobs = blobs,
                .metrics = metrics,
                .untidy = &untidy,
                .queue_reports = 1000,
        };
        if (index_writer_new(&writing, index, &writer) != 0 || log_totals_new(writer, &totals) != 0)
                return -1;
        struct log_committer_config committing = {
                .datadir_fd = storage_fd,
                .metrics = metrics,
                .queue_batches = 100,
                .queue_bytes = 1024 * 1024,
                .open_files = 16,
                .sync = true,
                .note = log_totals_note,
                .note_userdata = totals,
        };
        if (log_committer_new(&committing, &logs) != 0)
                return -1;
        config = (struct config){
                .data_dir = storage_dir, .logs_ttl_days = 14, .crashes_ttl_days = 90, .janitor_interval_secs = 3600
        };
        stores = (struct deletion_stores){
                .datadir_fd = storage_fd,
                .blobs = blobs,
                .index = writer,
                .logs = logs,
                .totals = totals,
                .untidy = &untidy,
        };
        return 0;
}

int retention_teardown(void **state)
{
        logs = log_committer_free(logs);
        totals = log_totals_free(totals);
        writer = index_writer_free(writer);
        assert_int_equal(metrics_gauge_get(metrics, METRICS_INDEX_QUEUE), 0);
        metrics = metrics_free(metrics);
        blobs = blob_store_free(blobs);
        return storage_teardown(state);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void on_done(struct crash_report *report)
{
        pthread_mutex_lock(&lock);
        *(bool *)report->userdata = true;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

int put(const char *install_id, const char *timestamp, const char *dump, const char *attachment,
        struct moment received_at)
{
        bool done = false;
        struct crash_report *report =
                storage_report(blobs, install_id, timestamp, dump, (const char *[]){ attachment, NULL, NULL });
        report->received_at = received_at;
        report->done = on_done;
        report->userdata = &done;
        if (index_writer_submit(writer, report) != 0)
                abort();
        pthread_mutex_lock(&lock);
        while (!done)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        int r = report->result;
        crash_report_free(report);
        return r;
}

struct moment days_ago(unsigned days)
{
        struct moment at = clock_now();
        at.sec -= (int64_t)days * DAY_SECS;
        return at;
}

bool blob_exists(const char *content)
{
        char sha256[BLOB_HEX_SIZE], path[BLOB_PATH_SIZE];
        blob_path(storage_hash(content, sha256), path);
        return storage_exists(path);
}

void expect_consistent(void)
{
        char n[16];
        snprintf(n, sizeof(n), "%zu", storage_count("crashes/by-hash"));
        storage_expect("SELECT count(*) FROM blob", n);
        snprintf(n, sizeof(n), "%zu", storage_count("crashes/by-source"));
        storage_expect("SELECT count(*) FROM crash", n);
        storage_expect("SELECT count(*) FROM blob WHERE refs <> (SELECT count(*) FROM crash WHERE dump_sha256 = sha256)"
                       " + (SELECT count(*) FROM attachment WHERE attachment.sha256 = blob.sha256)",
                       "0");
}

void put_tens(unsigned n, const char *attachment)
{
        for (unsigned i = 0; i < n; i++) {
                char timestamp[40], dump[16];
                struct moment at = days_ago(10);
                at.sec += i * 3600;
                snprintf(timestamp, sizeof(timestamp), "2026-05-19T08:30:00.%03uZ", i);
                snprintf(dump, sizeof(dump), "dump %05u", i);
                assert_int_equal(put(INSTALL_A, timestamp, dump, attachment, at), 0);
        }
}

struct row_step {
        struct step step;
        struct source source;
        char day[CLOCK_DAY_SIZE];
};

static int insert_row(struct step *s, struct index *index)
{
        const struct row_step *row = container_of(s, struct row_step, step);
        return storage_log_file(index, &row->source, "linux", "1", row->day, 6, 1, clock_now());
}

void put_log_file(const char *install_id, unsigned days, bool file)
{
        struct row_step row = { .step.run = insert_row };
        snprintf(row.source.project, sizeof(row.source.project), "acme");
        snprintf(row.source.install_id, sizeof(row.source.install_id), "%s", install_id);
        clock_format_day(days_ago(days), row.day);
        assert_int_equal(step_run(&row.step, writer, false), 0);
        if (!file)
                return;
        char path[256];
        snprintf(path, sizeof(path), "logs/acme/%s", install_id);
        storage_make_dirs(path);
        snprintf(path, sizeof(path), "logs/acme/%s/%s.ndjson", install_id, row.day);
        storage_put(path, "{...}\n");
}
