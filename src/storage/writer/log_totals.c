/* Pending totals sit in a table by file; a later note of the same file is added to what waits, so that lines are never
 * lost while bytes are only replaced. One job at a time carries up to JOB_FILES of them to the index, and comes again
 * while there are more. When the index is full or busy they go back into the table and wait for the next note; once the
 * index writer has failed they are dropped, since nothing will be written before a restart. */
#include "storage/writer/log_totals.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_write.h"
#include "storage/writer/index_batch.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define PENDING_MAX 8192
#define JOB_FILES 250

struct pending {
        char key[SOURCE_CANONICAL_SIZE + CLOCK_DAY_SIZE];
        struct source source;
        char platform[LOG_FILE_TEXT_SIZE];
        char version[LOG_FILE_TEXT_SIZE];
        char day[CLOCK_DAY_SIZE];
        uint64_t bytes, lines;
        struct moment at;
        UT_hash_handle hh;
};

/* Lock order: only `lock`. The job's own fields belong to the index writer's thread while `running`. */
struct log_totals {
        struct index_writer *index;
        pthread_mutex_t lock;
        pthread_cond_t idle;
        struct pending *table;
        bool running;
        int last_result;
        unsigned ended; /* jobs, so far */
        struct index_job job;
        size_t n_taken;
        struct pending *taken[JOB_FILES];
};

static int write_totals(struct index_job *job, struct index *index);
static void totals_written(struct index_job *job, int result);

int log_totals_new(struct index_writer *index, struct log_totals **ret)
{
        struct log_totals *t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->index = index;
        t->job = (struct index_job){ .run = write_totals, .done = totals_written };
        pthread_mutex_init(&t->lock, NULL);
        pthread_cond_init(&t->idle, NULL);
        *ret = t;
        return 0;
}

static void submit_locked(struct log_totals *t)
{
        if (!t->running && t->table)
                t->running = index_writer_submit_job(t->index, &t->job) == 0;
}

/* Adds to what is pending, or takes the entry into the table. True when entry is the table's now. */
static bool merge_locked(struct log_totals *t, struct pending *entry, bool newer)
{
        struct pending *old = NULL;
        HASH_FIND_STR(t->table, entry->key, old);
        if (!old) {
                HASH_ADD_STR(t->table, key, entry);
                return entry->hh.tbl != NULL; /* NULL: uthash had no memory */
        }
        old->lines += entry->lines;
        if (newer) {
                old->bytes = entry->bytes;
                old->at = entry->at;
                memcpy(old->platform, entry->platform, sizeof(old->platform));
                memcpy(old->version, entry->version, sizeof(old->version));
        }
        return false;
}

static struct pending *pending_new(const struct log_file_note *note)
{
        struct pending *p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        p->source = note->source;
        p->bytes = note->bytes;
        p->lines = note->lines;
        p->at = note->at;
        snprintf(p->platform, sizeof(p->platform), "%s", note->platform);
        snprintf(p->version, sizeof(p->version), "%s", note->version);
        snprintf(p->day, sizeof(p->day), "%s", note->day);
        snprintf(p->key, sizeof(p->key), "%s/%s/%s", p->source.project, p->source.install_id, p->day);
        return p;
}

int log_totals_note(void *log_totals, const struct log_file_note *note)
{
        struct log_totals *t = log_totals;
        _cleanup_(freep) struct pending *entry = pending_new(note);
        struct pending *old = NULL;
        if (!entry)
                return -ENOMEM;
        pthread_mutex_lock(&t->lock);
        HASH_FIND_STR(t->table, entry->key, old);
        int r = !old && HASH_COUNT(t->table) >= PENDING_MAX ? -EAGAIN : 0;
        if (r == 0 && merge_locked(t, entry, true))
                entry = NULL;
        else if (r == 0 && !old)
                r = -ENOMEM;
        submit_locked(t);
        pthread_mutex_unlock(&t->lock);
        return r;
}

static void take_some(struct log_totals *t)
{
        struct pending *entry, *next;
        t->n_taken = 0;
        pthread_mutex_lock(&t->lock);
        HASH_ITER(hh, t->table, entry, next)
        {
                if (t->n_taken == JOB_FILES)
                        break;
                HASH_DEL(t->table, entry);
                t->taken[t->n_taken++] = entry;
        }
        pthread_mutex_unlock(&t->lock);
}

static int write_totals(struct index_job *job, struct index *index)
{
        struct log_totals *t = container_of(job, struct log_totals, job);
        int r = 0;
        take_some(t);
        for (size_t i = 0; r == 0 && i < t->n_taken; i++) {
                const struct pending *p = t->taken[i];
                const struct index_log_file_totals totals = {
                        .source = &p->source,
                        .platform = p->platform,
                        .version = p->version,
                        .day = p->day,
                        .bytes = p->bytes,
                        .lines_more = p->lines,
                        .seen_at = p->at,
                };
                r = index_upsert_log_file(index, &totals);
        }
        return r;
}

/* What may succeed later goes back; the rest is dropped. */
static void put_back_locked(struct log_totals *t, int result)
{
        bool again = result == -ENOSPC || result == -EBUSY || result == -ENOMEM;
        for (size_t i = 0; i < t->n_taken; i++) {
                if (!again || !merge_locked(t, t->taken[i], false))
                        free(t->taken[i]);
        }
        t->n_taken = 0;
}

static void drop_all_locked(struct log_totals *t)
{
        struct pending *entry = t->table, *next;
        HASH_CLEAR(hh, t->table); /* the entries stay linked */
        for (; entry; entry = next) {
                next = entry->hh.next;
                free(entry);
        }
}

static void totals_written(struct index_job *job, int result)
{
        struct log_totals *t = container_of(job, struct log_totals, job);
        pthread_mutex_lock(&t->lock);
        put_back_locked(t, result);
        if (index_batch_is_final(result))
                drop_all_locked(t);
        t->last_result = result;
        t->running = false;
        t->ended++;
        if (result == 0)
                submit_locked(t);
        pthread_cond_broadcast(&t->idle);
        pthread_mutex_unlock(&t->lock);
}

static void flush(struct log_totals *t)
{
        pthread_mutex_lock(&t->lock);
        do {
                submit_locked(t);
                while (t->running)
                        pthread_cond_wait(&t->idle, &t->lock);
        } while (t->table && t->last_result == 0);
        pthread_mutex_unlock(&t->lock);
}

/* Every job takes JOB_FILES of those that wait, in their order, so that after so many jobs whatever was pending at the
 * start is written, however much comes in meanwhile. */
void log_totals_flush(struct log_totals *t)
{
        pthread_mutex_lock(&t->lock);
        for (unsigned jobs = 0; jobs < 2 + PENDING_MAX / JOB_FILES && (t->table || t->running); jobs++) {
                submit_locked(t);
                unsigned seen = t->ended;
                while (t->running && t->ended == seen)
                        pthread_cond_wait(&t->idle, &t->lock);
                if (t->last_result != 0)
                        break;
        }
        pthread_mutex_unlock(&t->lock);
}

struct log_totals *log_totals_free(struct log_totals *t)
{
        if (!t)
                return NULL;
        flush(t);
        drop_all_locked(t);
        pthread_cond_destroy(&t->idle);
        pthread_mutex_destroy(&t->lock);
        free(t);
        return NULL;
}
