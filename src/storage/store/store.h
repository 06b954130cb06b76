#pragma once
/* The disk as the use cases see it: one data directory with its lock, log committer, blob store, index writer and
 * janitor, started and stopped in the right order. The thread that opens it stops and frees it; the parts may be used
 * by any thread in between, as their headers say. */

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"
#include "metrics/metrics.h"
#include "storage/logs/log_committer.h"
#include "storage/retention/janitor.h"
#include "storage/space/space.h"
#include "storage/writer/index_writer.h"
#include "util/error.h"
#include "util/troubles.h"

struct store;

/* Creates the directory if it is missing, takes <data_dir>/lock, opens or migrates the index, indexes a data directory
 * of the reference, and starts the threads. config and metrics are borrowed until store_free(). 0, or < 0 with err;
 * -EBUSY: another process holds the lock. */
int store_open(const struct config *config, struct metrics *metrics, struct store **ret, struct error *err);
/* The same to do one job and close again: the directory and its database must be there, and retention does not run by
 * itself. -ENOENT: they are not there. -EBUSY: another process holds the lock; *ret_holder: who (0: unknown). */
int store_open_for_a_job(const struct config *config, struct metrics *metrics, struct store **ret, pid_t *ret_holder,
                         struct error *err);
/* Finishes and answers what was accepted, and accepts nothing more. Requests may still be freed afterwards. */
void store_stop(struct store *s);
/* Stops and closes. NULL-safe. */
struct store *store_free(struct store *s);
DEFINE_FREEP(store_free, struct store)

struct log_committer *store_logs(struct store *s);
struct index_writer *store_index(struct store *s);
struct blob_store *store_blobs(struct store *s);
struct space *store_space(struct store *s);

struct janitor *store_janitor(struct store *s); /* NULL: opened for one job */
/* Retention begins to run by itself: once everything has started, because a start that fails must delete nothing. Not
 * for a store that was opened for one job. 0 or -errno. */
int store_start_retention(struct store *s);
/* For deletions that operators ask for. The store outlives it. 0 or -ENOMEM. */
int store_new_deletion(struct store *s, struct deletion **ret);
int store_datadir_fd(const struct store *s);

struct troubles *store_troubles(struct store *s); /* what fails later. Any thread */
