#pragma once
/* Bytes of refused batches that could not be cut off their files yet: the file could not be opened again, or not be
 * cut. Until a debt is paid, its source's batches are refused, so that nothing comes after those bytes. The committer's
 * thread. Zero-initialised. */

#include <stddef.h>
#include <stdint.h>

#include "storage/logs/log_cache.h"

struct log_debts {
        size_t n, cap;
        struct log_debt *list;
};

void log_debts_done(struct log_debts *d); /* says in the log what stays */

/* Room for that many more: 0 or -ENOMEM. Then log_debts_add() cannot fail. */
int log_debts_reserve(struct log_debts *d, size_t n);
/* Cuts off what came after the first `whole` bytes of an open file; if that fails it is owed, and the file is closed.
 * error: why that has to go, for the board of troubles; 0: it is there already. */
void log_debts_cut_back(struct log_debts *d, struct log_cache *files, struct log_file *f, uint64_t whole, int error);
/* The last `bytes` bytes of the file have to go; error: why they are still there. */
void log_debts_add(struct log_debts *d, const struct source *source, const char *day, uint64_t bytes, int error);
/* Tries to pay. A file that is gone owes nothing. */
void log_debts_pay(struct log_debts *d, int datadir_fd);
/* The error of a debt of that source; 0: it has none. */
int log_debts_error(const struct log_debts *d, const struct source *source);
