/* Content-addressed files. A blob being received is an O_TMPFILE in tmp/ (or, where the file system has none, a named
 * file there that is unlinked with its writer); each chunk is hashed on its way to the page cache.
 *
 * publish: if the name is there with the right size, only its directory is synced; else the data is synced, linked under
 * the hash, and the directory synced. A file of the wrong size under the name (damaged by hand) is replaced: the hash
 * proves that ours is the right one.
 *
 * Failure modes: a full disk while receiving or linking (-ENOSPC, -EDQUOT; the writer's file goes with the writer); a
 * failed sync (-EIO; the caller must stop acknowledging). */
#include "storage/crashes/blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/durable.h"
#include "util/hex.h"
#include "util/log.h"

#define BLOB_DIR "crashes/by-hash"
#define BLOB_DIR_SIZE (sizeof(BLOB_DIR) + 3) /* "/ab" */

struct blob_store {
        int datadir_fd;
        int tmp_fd;
        atomic_uint open_writers;
        atomic_uint serial; /* names of fallback and replacing files */
        atomic_bool no_tmpfile;
};

struct blob_writer {
        struct blob_store *store;
        int fd;
        char name[32]; /* in tmp/; "" for an O_TMPFILE */
        EVP_MD_CTX *hash;
        uint64_t len;
        char sha256[BLOB_HEX_SIZE];
};

void blob_path(const char *sha256, char ret[BLOB_PATH_SIZE])
{
        snprintf(ret, BLOB_PATH_SIZE, BLOB_DIR "/%.2s/%.64s.bin", sha256, sha256);
}

/* What is left in tmp/ was never answered. Only plain files are ours. */
static int empty_directory(int dirfd)
{
        int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        DIR *dir = fdopendir(fd);
        if (!dir) {
                int r = -errno;
                close(fd);
                return r;
        }
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (unlinkat(dirfd, e->d_name, 0) < 0)
                        log_warn("cannot remove a leftover temporary file", LOG_STR("name", e->d_name),
                                 LOG_STR("error", strerror(errno)));
        }
        closedir(dir);
        return 0;
}

int blob_store_new(int datadir_fd, struct blob_store **ret)
{
        int r = durable_mkdirs(datadir_fd, BLOB_DIR);
        if (r == 0)
                r = durable_mkdirs(datadir_fd, "tmp");
        if (r < 0)
                return r;
        _cleanup_(closep) int tmp_fd = openat(datadir_fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (tmp_fd < 0)
                return -errno;
        r = empty_directory(tmp_fd);
        if (r < 0)
                return r;

        struct blob_store *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->datadir_fd = datadir_fd;
        s->tmp_fd = TAKE_FD(tmp_fd);
        *ret = s;
        return 0;
}

struct blob_store *blob_store_free(struct blob_store *s)
{
        if (!s)
                return NULL;
        close(s->tmp_fd);
        free(s);
        return NULL;
}

unsigned blob_store_open_writers(const struct blob_store *s)
{
        return atomic_load_explicit(&s->open_writers, memory_order_relaxed);
}

static int open_named(struct blob_writer *w)
{
        snprintf(w->name, sizeof(w->name), "blob-%u", atomic_fetch_add(&w->store->serial, 1));
        w->fd = openat(w->store->tmp_fd, w->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (w->fd >= 0)
                return 0;
        int r = -errno;
        w->name[0] = '\0';
        return r;
}

static int open_temporary(struct blob_writer *w)
{
        if (!atomic_load_explicit(&w->store->no_tmpfile, memory_order_relaxed)) {
                w->fd = openat(w->store->tmp_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0640);
                if (w->fd >= 0)
                        return 0;
                if (errno != EOPNOTSUPP && errno != EISDIR) /* open(2): no support in the file system, the kernel */
                        return -errno;
                atomic_store_explicit(&w->store->no_tmpfile, true, memory_order_relaxed);
        }
        return open_named(w);
}

static int begin_writing(struct blob_writer *w)
{
        w->hash = EVP_MD_CTX_new();
        if (!w->hash || EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        return open_temporary(w);
}

int blob_writer_new(struct blob_store *s, struct blob_writer **ret)
{
        struct blob_writer *w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->store = s;
        w->fd = -1;
        atomic_fetch_add_explicit(&s->open_writers, 1, memory_order_relaxed);
        int r = begin_writing(w);
        if (r < 0) {
                blob_writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

struct blob_writer *blob_writer_free(struct blob_writer *w)
{
        if (!w)
                return NULL;
        if (w->name[0])
                unlinkat(w->store->tmp_fd, w->name, 0);
        if (w->fd >= 0)
                close(w->fd);
        EVP_MD_CTX_free(w->hash);
        atomic_fetch_sub_explicit(&w->store->open_writers, 1, memory_order_relaxed);
        free(w);
        return NULL;
}

int blob_writer_write(struct blob_writer *w, const void *data, size_t len)
{
        int r = durable_write_all(w->fd, data, len);
        if (r < 0)
                return r;
        if (EVP_DigestUpdate(w->hash, data, len) != 1)
                return -ENOMEM;
        w->len += len;
        return 0;
}

uint64_t blob_writer_len(const struct blob_writer *w)
{
        return w->len;
}

int blob_writer_finish(struct blob_writer *w)
{
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        if (EVP_DigestFinal_ex(w->hash, digest, &n) != 1 || n != 32)
                return -ENOMEM;
        *hex_encode(w->sha256, digest, n) = '\0';
        return 0;
}

const char *blob_writer_sha256(const struct blob_writer *w)
{
        return w->sha256;
}

/* Gives the file a (further) name. Without /proc only a process that may read everything can: AT_EMPTY_PATH needs
 * CAP_DAC_READ_SEARCH (linkat(2)). */
static int link_as(struct blob_writer *w, const char *path)
{
        int datadir_fd = w->store->datadir_fd;
        if (w->name[0])
                return linkat(w->store->tmp_fd, w->name, datadir_fd, path, 0) < 0 ? -errno : 0;

        char proc[32];
        snprintf(proc, sizeof(proc), "/proc/self/fd/%d", w->fd);
        if (linkat(AT_FDCWD, proc, datadir_fd, path, AT_SYMLINK_FOLLOW) == 0)
                return 0;
        if (errno != ENOENT)
                return -errno;
        return linkat(w->fd, "", datadir_fd, path, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Puts our file in the place of one that cannot be the hash's content. */
static int replace(struct blob_writer *w, const char *dir, const char *path)
{
        char temporary[BLOB_DIR_SIZE + 40];
        snprintf(temporary, sizeof(temporary), "%s/.new-%d-%u", dir, (int)getpid(),
                 atomic_fetch_add(&w->store->serial, 1));
        log_warn("a blob on disk had the wrong size and is replaced", LOG_STR("path", path));
        int r = link_as(w, temporary);
        if (r < 0)
                return r;
        if (renameat(w->store->datadir_fd, temporary, w->store->datadir_fd, path) == 0)
                return 0;
        r = -errno;
        unlinkat(w->store->datadir_fd, temporary, 0);
        return r;
}

enum { NAME_ABSENT, NAME_WHOLE, NAME_DAMAGED };

static int look_at(const struct blob_writer *w, const char *path)
{
        struct stat st;
        if (fstatat(w->store->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? NAME_ABSENT : -errno;
        return S_ISREG(st.st_mode) && (uint64_t)st.st_size == w->len ? NAME_WHOLE : NAME_DAMAGED;
}

int blob_writer_publish(struct blob_writer *w, bool *ret_existed)
{
        char path[BLOB_PATH_SIZE], dir[BLOB_DIR_SIZE];
        blob_path(w->sha256, path);
        snprintf(dir, sizeof(dir), BLOB_DIR "/%.2s", w->sha256);

        int r = durable_mkdirs(w->store->datadir_fd, dir);
        if (r < 0)
                return r;
        int before = look_at(w, path);
        if (before < 0)
                return before;
        if (before != NAME_WHOLE) {
                r = durable_sync(w->fd);
                if (r == 0)
                        r = before == NAME_ABSENT ? link_as(w, path) : replace(w, dir, path);
                if (r < 0)
                        return r;
        }
        r = durable_sync_dir(w->store->datadir_fd, dir);
        if (r < 0)
                return r;
        *ret_existed = before != NAME_ABSENT;
        return 0;
}

int blob_unlink(struct blob_store *s, const char *sha256, uint64_t *ret_len)
{
        char path[BLOB_PATH_SIZE];
        struct stat st;
        blob_path(sha256, path);
        if (fstatat(s->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(s->datadir_fd, path, 0) < 0)
                return -errno;
        if (ret_len)
                *ret_len = (uint64_t)st.st_size;
        return 0;
}
