#include "storage/logs/log_runs.h"

#include <assert.h>

/* Part of a run, at most IOV_MAX batches: all that got in whole stay, *ret_whole is where they end, and what follows
 * has to be cut off. first has at least one batch; *ret_next is the batch after the part. 0 or -errno. */
static int write_part(struct log_runs *r, struct log_file *f, struct log_batch *first, struct log_batch **ret_next,
                      uint64_t *ret_whole)
{
        uint64_t whole, lines = 0;
        size_t n = 0;
        const struct log_append *newest = NULL;
        struct log_batch *b;

        for (b = first; b && n < IOV_MAX; b = b->next)
                r->iov[n++] = (struct iovec){ .iov_base = (void *)b->appends[0].data, .iov_len = b->appends[0].len };
        *ret_next = b;
        log_cache_touch(r->files, f);
        int e = log_file_append(f, r->iov, n, &whole);
        for (b = first; b != *ret_next && b->appends[0].len <= f->size - whole; b = b->next) {
                newest = &b->appends[0];
                if (r->journal)
                        journal_stage(r->journal, newest, whole);
                whole += newest->len;
                lines += newest->lines;
        }
        if (newest)
                log_cache_count(r->files, f, newest, lines);
        for (; b != *ret_next; b = b->next)
                b->result = e;
        *ret_whole = whole;
        return e;
}

/* What fails is in the results of the batches. */
static void write_run(struct log_runs *r, struct log_file *f)
{
        struct log_batch *b = f->run_first;
        uint64_t whole = f->size;
        int e = 0;
        while (b && e == 0)
                e = write_part(r, f, b, &b, &whole);
        for (; b; b = b->next)
                b->result = e;
        f->run_first = NULL;
        f->run_last = &f->run_first;
        if (e < 0)
                log_debts_cut_back(r->debts, r->files, f, whole, e);
}

void log_runs_drop(struct log_runs *r)
{
        for (struct log_file *f; (f = r->first); r->first = f->run_next) {
                f->run_first = NULL;
                f->run_last = &f->run_first;
        }
}

void log_runs_write(struct log_runs *r)
{
        while (r->first) {
                struct log_file *f = r->first;
                r->first = f->run_next;
                write_run(r, f);
        }
}

void log_runs_join(struct log_runs *r, struct log_file *f, struct log_batch *b)
{
        assert(b->n_appends == 1);
        if (!f->run_first) {
                f->run_next = r->first;
                r->first = f;
        }
        b->next = NULL;
        *f->run_last = b;
        f->run_last = &b->next;
}
