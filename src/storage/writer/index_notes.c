/* One job at a time carries up to JOB_NOTES notes to the index, and comes again while there are more. When the index is
 * full or busy the notes go back into the table and wait for the next note; once the index writer has failed they are
 * dropped, since nothing will be written before a restart. */
#include "storage/writer/index_notes.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "storage/writer/index_batch.h"

#define JOB_NOTES 250

/* Lock order: only `lock`. `taken` belongs to the index writer's thread while `running`. */
struct index_notes {
        struct index_notes_config config;
        pthread_mutex_t lock;
        pthread_cond_t idle;
        struct index_note *table;
        bool running;
        int last_result;
        unsigned ended; /* jobs, so far */
        struct index_job job;
        size_t n_taken;
        struct index_note *taken[JOB_NOTES];
};

static void submit_locked(struct index_notes *n)
{
        if (!n->running && n->table)
                n->running = index_writer_submit_job(n->config.index, &n->job) == 0;
}

/* ---- the table ---- */

static struct index_note *find_locked(struct index_notes *n, const char *key)
{
        struct index_note *note = NULL;
        HASH_FIND_STR(n->table, key, note);
        return note;
}

/* Merges the note with one that waits, or takes it into the table. 0: it is gone or the table's. -ENOMEM. */
static int add_locked(struct index_notes *n, struct index_note *note, bool newer)
{
        struct index_note *old = find_locked(n, note->key);
        if (old) {
                n->config.merge(old, note, newer);
                free(note);
                return 0;
        }
        HASH_ADD_KEYPTR(hh, n->table, note->key, strlen(note->key), note);
        return note->hh.tbl ? 0 : -ENOMEM;
}

static void drop_all_locked(struct index_notes *n)
{
        struct index_note *note = n->table, *next;
        HASH_CLEAR(hh, n->table); /* the notes stay linked */
        for (; note; note = next) {
                next = note->hh.next;
                free(note);
        }
}

int index_notes_put(struct index_notes *n, struct index_note *note)
{
        assert(note->key);
        pthread_mutex_lock(&n->lock);
        bool full = HASH_COUNT(n->table) >= n->config.pending_max && !find_locked(n, note->key);
        int r = full ? -EAGAIN : add_locked(n, note, true);
        submit_locked(n);
        pthread_mutex_unlock(&n->lock);
        return r;
}

/* ---- the job ---- */

static void take_some(struct index_notes *n)
{
        struct index_note *note, *next;
        assert(n->n_taken == 0);
        pthread_mutex_lock(&n->lock);
        assert(n->running);
        HASH_ITER(hh, n->table, note, next)
        {
                if (n->n_taken == JOB_NOTES)
                        break;
                HASH_DEL(n->table, note);
                n->taken[n->n_taken++] = note;
        }
        pthread_mutex_unlock(&n->lock);
}

static int write_taken(struct index_job *job, struct index *index)
{
        struct index_notes *n = container_of(job, struct index_notes, job);
        int r = 0;
        take_some(n);
        for (size_t i = 0; r == 0 && i < n->n_taken; i++)
                r = n->config.write(index, n->taken[i]);
        return r;
}

/* What may succeed later goes back; the rest is dropped. */
static void put_back_locked(struct index_notes *n, int result)
{
        bool again = result == -ENOSPC || result == -EBUSY || result == -ENOMEM;
        for (size_t i = 0; i < n->n_taken; i++) {
                if (!again || add_locked(n, n->taken[i], false) < 0)
                        free(n->taken[i]);
        }
        n->n_taken = 0;
}

static void written(struct index_job *job, int result)
{
        struct index_notes *n = container_of(job, struct index_notes, job);
        pthread_mutex_lock(&n->lock);
        assert(n->running);
        put_back_locked(n, result);
        if (index_batch_is_final(result))
                drop_all_locked(n);
        n->last_result = result;
        n->running = false;
        n->ended++;
        if (result == 0)
                submit_locked(n);
        pthread_cond_broadcast(&n->idle);
        pthread_mutex_unlock(&n->lock);
}

/* ---- life ---- */

int index_notes_new(const struct index_notes_config *config, struct index_notes **ret)
{
        struct index_notes *n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        n->config = *config;
        n->job = (struct index_job){ .run = write_taken, .done = written };
        pthread_mutex_init(&n->lock, NULL);
        pthread_cond_init(&n->idle, NULL);
        *ret = n;
        return 0;
}

/* Every job takes JOB_NOTES of those that wait, in their order. After as many jobs as a full table needs, whatever was
 * pending at the start is written, however much comes in meanwhile. */
void index_notes_flush(struct index_notes *n)
{
        size_t jobs_max = 2 + n->config.pending_max / JOB_NOTES;
        index_writer_assert_elsewhere(n->config.index);
        pthread_mutex_lock(&n->lock);
        for (size_t jobs = 0; jobs < jobs_max && (n->table || n->running); jobs++) {
                submit_locked(n);
                unsigned seen = n->ended;
                while (n->running && n->ended == seen)
                        pthread_cond_wait(&n->idle, &n->lock);
                if (n->last_result != 0)
                        break;
        }
        pthread_mutex_unlock(&n->lock);
}

static void flush_all(struct index_notes *n)
{
        pthread_mutex_lock(&n->lock);
        do {
                submit_locked(n);
                while (n->running)
                        pthread_cond_wait(&n->idle, &n->lock);
        } while (n->table && n->last_result == 0);
        pthread_mutex_unlock(&n->lock);
}

struct index_notes *index_notes_free(struct index_notes *n)
{
        if (!n)
                return NULL;
        index_writer_assert_elsewhere(n->config.index);
        flush_all(n);
        drop_all_locked(n);
        pthread_cond_destroy(&n->idle);
        pthread_mutex_destroy(&n->lock);
        free(n);
        return NULL;
}
