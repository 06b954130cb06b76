/* The token itself carries the time of its last note, so that the common case is one load. Whoever moves that time on
 * makes the note, which waits in a list for a short job of the index writer; one job at a time carries some of them, and
 * comes again while there are more. What cannot be written is dropped: the token's next use after the interval tells. */
#include "auth/token_use.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "storage/index/index_write.h"
#include "util/clock.h"

#define INTERVAL_NS (TOKEN_USE_INTERVAL_SECS * UINT64_C(1000000000))
#define JOB_NOTES 256

struct note {
        struct note *next;
        struct moment at;
        char id[];
};

/* Lock order: only `lock`. `taken` belongs to the index writer's thread while `running`. */
struct token_use {
        struct index_writer *index;
        pthread_mutex_t lock;
        pthread_cond_t idle;
        struct note *first, **last;
        size_t n_pending;
        bool running;
        struct index_job job;
        struct note *taken;
};

static struct note *free_notes(struct note *n)
{
        while (n) {
                struct note *next = n->next;
                free(n);
                n = next;
        }
        return NULL;
}

static void take_some(struct token_use *u)
{
        struct note **end = &u->taken;
        pthread_mutex_lock(&u->lock);
        for (size_t i = 0; i < JOB_NOTES && u->first; i++) {
                *end = u->first;
                end = &u->first->next;
                u->first = u->first->next;
                u->n_pending--;
        }
        *end = NULL;
        if (!u->first)
                u->last = &u->first;
        pthread_mutex_unlock(&u->lock);
}

static int write_notes(struct index_job *job, struct index *index)
{
        struct token_use *u = container_of(job, struct token_use, job);
        int r = 0;
        take_some(u);
        for (const struct note *n = u->taken; r == 0 && n; n = n->next)
                r = index_upsert_token_use(index, n->id, n->at);
        return r;
}

static void submit_locked(struct token_use *u)
{
        if (!u->running && u->first)
                u->running = index_writer_submit_job(u->index, &u->job) == 0;
}

static void notes_written(struct index_job *job, int result)
{
        struct token_use *u = container_of(job, struct token_use, job);
        pthread_mutex_lock(&u->lock);
        u->taken = free_notes(u->taken);
        u->running = false;
        if (result == 0)
                submit_locked(u);
        pthread_cond_signal(&u->idle);
        pthread_mutex_unlock(&u->lock);
}

int token_use_new(struct index_writer *index, struct token_use **ret)
{
        struct token_use *u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        u->index = index;
        u->last = &u->first;
        u->job = (struct index_job){ .run = write_notes, .done = notes_written };
        pthread_mutex_init(&u->lock, NULL);
        pthread_cond_init(&u->idle, NULL);
        *ret = u;
        return 0;
}

struct token_use *token_use_free(struct token_use *u)
{
        if (!u)
                return NULL;
        pthread_mutex_lock(&u->lock);
        submit_locked(u);
        while (u->running)
                pthread_cond_wait(&u->idle, &u->lock);
        pthread_mutex_unlock(&u->lock);
        free_notes(u->first);
        pthread_cond_destroy(&u->idle);
        pthread_mutex_destroy(&u->lock);
        free(u);
        return NULL;
}

static void add(struct token_use *u, const char *id)
{
        size_t size = strlen(id) + 1;
        struct note *n = malloc(sizeof(*n) + size);
        if (!n)
                return;
        n->next = NULL;
        n->at = clock_now();
        memcpy(n->id, id, size);
        pthread_mutex_lock(&u->lock);
        if (u->n_pending < TOKEN_USE_PENDING_MAX) {
                *u->last = n;
                u->last = &n->next;
                u->n_pending++;
                n = NULL;
        }
        submit_locked(u);
        pthread_mutex_unlock(&u->lock);
        free(n);
}

void token_use_note(struct token_use *u, const struct token *token)
{
        if (!u)
                return;
        uint_fast64_t now = clock_monotonic_ns(), noted = atomic_load_explicit(token->noted_ns, memory_order_relaxed);
        if (noted != 0 && now - noted < INTERVAL_NS)
                return;
        if (atomic_compare_exchange_strong_explicit(token->noted_ns, &noted, now, memory_order_relaxed,
                                                    memory_order_relaxed))
                add(u, token->id);
}
