/* The index's life: opening, migrating, closing.
 *
 * Opening for writing makes the file (0640) when it is missing, switches to WAL with a sync at each commit, and runs
 * the numbered migrations that user_version lacks. application_id is set last of all, by index_set_adopted(): when a
 * first start was cut short while it read an older data directory, application_id is missing, and the next start reads
 * it again.
 *
 * user_version is UNRELEASED_VERSIONS and the number of the newest migration that ran. The versions below were of
 * databases before the first release: reindex and import read them (index_open_any()), everything else refuses them.
 *
 * Failure modes: a database of a newer detritus (INDEX_TOO_NEW) or from before the first release (INDEX_TOO_OLD), or a
 * SQLite file that is not ours (-EINVAL); all are left as they were.
 */
#include "storage/index/index.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_copy.h"
#include "storage/index/index_internal.h"
#include "storage/index/migrations.h"
#include "util/files/durable.h"
#include "util/files/regular.h"
#include "util/log.h"

#define APPLICATION_ID 0x64747274 /* "dtrt"; file(1) shows it */
#define UNRELEASED_VERSIONS 7
/* After the migrations, which may change every page: what a statement that fails has to put back is kept in memory, and
 * so are 16 MiB of pages. */
#define FOR_SMALL_TRANSACTIONS "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384"
/* After them too: when a migration makes a table again, the rows that refer to it must not be deleted with the old one
 * (https://www.sqlite.org/foreignkeys.html#fk_schemacommands). */
#define FOR_ALL_TRANSACTIONS "PRAGMA foreign_keys = ON"

static int read_number(struct index *x, const char *sql, int64_t *ret)
{
        sqlite3_stmt *s;
        assert(x);
        if (sqlite3_prepare_v2(x->db, sql, -1, &s, NULL) != SQLITE_OK)
                return index_failed(x, sql);
        int r = sqlite3_step(s);
        if (r == SQLITE_ROW)
                *ret = sqlite3_column_int64(s, 0);
        r = r == SQLITE_ROW ? 0 : index_failed(x, sql);
        sqlite3_finalize(s);
        return r;
}

static int run_migration(struct index *x, unsigned number)
{
        char version[64];
        snprintf(version, sizeof(version), "PRAGMA user_version = %u", UNRELEASED_VERSIONS + number + 1);
        int r = index_execute(x, "BEGIN IMMEDIATE");
        if (r == 0)
                r = sqlite3_exec(x->db, migrations[number], NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                                           : index_failed(x, "migrate");
        if (r == 0)
                r = index_execute(x, version);
        if (r == 0)
                r = index_execute(x, "COMMIT");
        if (r < 0 && !sqlite3_get_autocommit(x->db))
                index_execute(x, "ROLLBACK");
        return r;
}

static int64_t newest_version(void)
{
        return UNRELEASED_VERSIONS + (int64_t)migrations_count;
}

/* err: what SQLite says, except where SQLite only knows of an I/O error. */
static int explain(struct index *x, int error, struct error *err)
{
        error_set(err, "%s", error == -ENOSPC ? strerror(ENOSPC) : sqlite3_errmsg(x->db));
        return error;
}

/* Is it ours, and do we know its version? */
static int check_identity(struct index *x, int64_t *ret_version, bool *ret_adopted, struct error *err)
{
        int64_t id = 0, version = 0, tables = 0;
        int r = read_number(x, "PRAGMA application_id", &id);
        if (r == 0)
                r = read_number(x, "PRAGMA user_version", &version);
        if (r == 0)
                r = read_number(x, "SELECT count(*) FROM sqlite_schema", &tables);
        if (r < 0)
                return explain(x, r, err);
        if ((id != 0 && id != APPLICATION_ID) || (version == 0 && tables > 0)) {
                error_set(err, "it is not a detritus database");
                return -EINVAL;
        }
        if (version > newest_version()) {
                error_set(err, "it has version %lld, from a newer detritus; this one knows up to %lld",
                          (long long)version, (long long)newest_version());
                return INDEX_TOO_NEW;
        }
        *ret_version = version;
        *ret_adopted = id == APPLICATION_ID;
        return 0;
}

static int is_wal(void *userdata, int columns, char **values, _unused_ char **names)
{
        *(bool *)userdata = columns == 1 && values[0] && strcmp(values[0], "wal") == 0;
        return 0;
}

/* The hook takes the place of automatic checkpoints. The schema's CHECKs call json_valid(), which SQLite before 3.41
 * trusts in a schema only when all of it is trusted; the file is ours alone. */
static int configure_writer(struct index *x, struct error *err)
{
        int r = index_execute(x, "PRAGMA journal_mode = WAL;"
                                 "PRAGMA synchronous = FULL;"
                                 "PRAGMA journal_size_limit = 67108864;"
                                 "PRAGMA cell_size_check = ON;"
                                 "PRAGMA secure_delete = ON;" /* what was deleted leaves no text behind */
                                 "PRAGMA trusted_schema = ON");
        if (r < 0)
                return explain(x, r, err);
        bool wal = false;
        sqlite3_exec(x->db, "PRAGMA journal_mode", is_wal, &wal, NULL);
        if (!wal) {
                error_set(err, "the file system does not support SQLite's WAL");
                return -EOPNOTSUPP;
        }
        index_wal_watch(x);
        return 0;
}

static int refuse_unreleased(int64_t version, struct error *err)
{
        if (version == 0 || version > UNRELEASED_VERSIONS)
                return 0;
        error_set(err,
                  "it has version %lld, from before the first release; stop detritusd and run `detritusctl reindex` "
                  "once, "
                  "which makes a new database of the files and of this one",
                  (long long)version);
        return INDEX_TOO_OLD;
}

static int migrate(struct index *x, int64_t version, struct error *err)
{
        for (unsigned i = version > 0 ? (unsigned)(version - UNRELEASED_VERSIONS) : 0; i < migrations_count; i++) {
                int r = run_migration(x, i);
                if (r < 0) {
                        error_set(err, "migration %u: %s", i + 1, strerror(-r));
                        return r;
                }
        }
        int r = index_execute(x, FOR_ALL_TRANSACTIONS "; " FOR_SMALL_TRANSACTIONS);
        if (r == 0)
                r = index_prepare(x, INDEX_ROLLBACK); /* which must not fail */
        return r < 0 ? explain(x, r, err) : 0;
}

/* SQLite would wait for a FIFO, for ever. A symbolic link to a file is fine. */
static int refuse_odd(const char *path, struct error *err)
{
        static const char *const endings[] = { "", "-wal", "-shm", "-journal" };
        for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
                char file[PATH_MAX + 16];
                struct stat st;
                snprintf(file, sizeof(file), "%s%s", path, endings[i]);
                if (stat(file, &st) == 0 && !S_ISREG(st.st_mode)) {
                        error_set(err, "%s is %s, not a regular file", file, regular_kind(st.st_mode));
                        return -EINVAL;
                }
        }
        return 0;
}

static int open_database(const char *path, int flags, struct index **ret, struct error *err)
{
        if (refuse_odd(path, err) < 0)
                return -EINVAL;
        _cleanup_(index_freep) struct index *x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        x->shm_fd = -1;
        int r = sqlite3_open_v2(path, &x->db, flags | SQLITE_OPEN_EXRESCODE, NULL);
        if (r != SQLITE_OK) {
                error_set(err, "%s", x->db ? sqlite3_errmsg(x->db) : "out of memory");
                return x->db ? index_failed(x, "open") : -ENOMEM;
        }
        sqlite3_busy_timeout(x->db, INDEX_BUSY_TIMEOUT_MS);
        sqlite3_db_config(x->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        *ret = TAKE_PTR(x);
        return 0;
}

static int database_path(const char *data_dir, char ret[PATH_MAX], struct error *err)
{
        int n = snprintf(ret, PATH_MAX, "%s/detritus.db", data_dir);
        if (n >= 0 && n < PATH_MAX)
                return 0;
        error_set(err, "the data directory's path is too long");
        return -ENAMETOOLONG;
}

/* The -wal and -shm files get the mode of the database from SQLite. */
static int make_file(const char *data_dir, const char *path, struct error *err)
{
        _cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (fd < 0 && errno == EEXIST)
                return 0;
        int r = fd < 0 ? -errno : durable_sync_dir(AT_FDCWD, data_dir);
        if (r < 0)
                error_set(err, "%s: %s", path, strerror(-r));
        return r;
}

/* SQLite makes the -wal file and the -shm file when it first reads the database, which may be now. SQLite syncs the
 * name of the WAL with the first commit, but ignores errors of that sync, and commits in a file without a name would be
 * lost. */
static int keep_wal(struct index *x, const char *data_dir, const char *path, struct error *err)
{
        int64_t tables;
        int r = read_number(x, "SELECT count(*) FROM sqlite_schema", &tables);
        if (r == 0)
                r = durable_sync_dir(AT_FDCWD, data_dir);
        if (r == 0)
                r = index_wal_keep_shm(x, path);
        if (r < 0)
                error_set(err, "cannot keep its WAL: %s", strerror(-r));
        return r;
}

int index_open(const char *data_dir, struct index **ret, bool *ret_created, struct error *err)
{
        _cleanup_(index_freep) struct index *x = NULL;
        char path[PATH_MAX];
        int64_t version;
        bool adopted;

        int r = database_path(data_dir, path, err);
        if (r == 0)
                r = make_file(data_dir, path, err);
        if (r < 0)
                return r;
        r = open_database(path, SQLITE_OPEN_READWRITE, &x, err);
        if (r == 0)
                r = check_identity(x, &version, &adopted, err);
        if (r == 0)
                r = refuse_unreleased(version, err);
        if (r == 0)
                r = configure_writer(x, err);
        if (r == 0)
                r = migrate(x, version, err);
        if (r == 0)
                r = keep_wal(x, data_dir, path, err);
        if (r != 0) {
                error_prefix(err, "%s", path);
                return r;
        }
        x->writable = true;
        *ret_created = !adopted;
        *ret = TAKE_PTR(x);
        return 0;
}

static int open_readonly(const char *data_dir, struct index **ret, int64_t *ret_version, struct error *err)
{
        char path[PATH_MAX];
        bool adopted;

        int r = database_path(data_dir, path, err);
        if (r < 0)
                return r;
        if (access(path, F_OK) < 0) {
                r = -errno;
                error_set(err, "cannot read %s: %s", path, strerror(errno));
                return r;
        }
        r = open_database(path, SQLITE_OPEN_READONLY, ret, err);
        if (r == 0) {
                assert(*ret);
                sqlite3_db_config((*ret)->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
                r = check_identity(*ret, ret_version, &adopted, err);
        }
        if (r != 0)
                error_prefix(err, "%s", path);
        return r;
}

int index_open_any(const char *data_dir, struct index **ret, struct error *err)
{
        _cleanup_(index_freep) struct index *x = NULL;
        int64_t version = 0;
        int r = open_readonly(data_dir, &x, &version, err);
        if (r == 0)
                *ret = TAKE_PTR(x);
        return r;
}

int index_open_readonly(const char *data_dir, struct index **ret, struct error *err)
{
        _cleanup_(index_freep) struct index *x = NULL;
        int64_t version = 0;
        int r = open_readonly(data_dir, &x, &version, err);
        if (r != 0)
                return r;
        r = refuse_unreleased(version, err);
        if (r == 0 && version < newest_version()) {
                error_set(err,
                          "it has version %lld, older than this detritus; start detritusd once to bring it to %lld",
                          (long long)version, (long long)newest_version());
                r = -EINVAL;
        }
        if (r != 0) {
                error_prefix(err, "%s/detritus.db", data_dir);
                return r;
        }
        *ret = TAKE_PTR(x);
        return 0;
}

int index_set_adopted(struct index *x)
{
        char sql[64];
        assert(x->writable && !index_in_transaction(x));
        snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", APPLICATION_ID);
        return index_execute(x, sql);
}

struct index *index_free(struct index *x)
{
        if (!x)
                return NULL;
        for (size_t i = 0; i < ARRAY_LEN(x->prepared); i++)
                sqlite3_finalize(x->prepared[i]);
        if (x->writable)
                index_wal_checkpoint(x, SQLITE_CHECKPOINT_TRUNCATE);
        sqlite3_close(x->db);
        closep(&x->shm_fd);
        free(x);
        return NULL;
}
