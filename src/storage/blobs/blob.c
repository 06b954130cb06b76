/* A blob that is being received is a draft. Each chunk is hashed at once, and written in stretches of 64 KiB: for a
 * write that begins or ends inside a page the kernel clears the rest, and for a large one it takes memory in larger
 * pieces.
 *
 * Publishing: if a file of the right size has the name, only its directory is synced. Else the data is synced and
 * linked under its hash, and the directory is synced. A file of the wrong size (damaged by hand) is replaced, because
 * the hash proves that ours is right. Then its pages go back to the system: dumps are seldom read, other files often.
 *
 * Failure modes: a full disk while receiving or linking (-ENOSPC, -EDQUOT; the file goes with its writer); a failed
 * sync (-EIO; the caller must stop acknowledging). */
#include "storage/blobs/blob.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/files/durable.h"
#include "util/files/failure.h"
#include "util/log.h"
#include "util/text/hex.h"

#define BLOB_DIR "crashes/by-hash"
#define BLOB_DIR_SIZE (sizeof(BLOB_DIR) + 3) /* "/ab" */
#define STRETCH_BYTES 65536

struct blob_store {
        int datadir_fd;
        struct draft_dir drafts;
        atomic_uint open_writers;
};

enum blob_state { BLOB_RECEIVING, BLOB_FINISHED, BLOB_PUBLISHED };

struct blob_writer {
        enum blob_state state;
        struct blob_store *store;
        struct draft file;
        EVP_MD_CTX *hash;
        uint64_t len;     /* received */
        uint8_t *stretch; /* received, and not written yet; NULL: finished */
        size_t stretch_len;
        char sha256[BLOB_HEX_SIZE];
};

void blob_path(const char *sha256, char ret[BLOB_PATH_SIZE])
{
        snprintf(ret, BLOB_PATH_SIZE, BLOB_DIR "/%.2s/%.64s.bin", sha256, sha256);
}

bool blob_parse_name(const char *name, char ret[BLOB_HEX_SIZE])
{
        if (strlen(name) != 64 + strlen(".bin") || strcmp(name + 64, ".bin") != 0 || !hex_is_lower(name, 64))
                return false;
        snprintf(ret, BLOB_HEX_SIZE, "%.64s", name);
        return true;
}

bool blob_parse_path(const char *path, char ret[BLOB_HEX_SIZE])
{
        char expected[BLOB_PATH_SIZE];
        const char *slash = strrchr(path, '/');
        if (!slash || !blob_parse_name(slash + 1, ret))
                return false;
        blob_path(ret, expected);
        return strcmp(path, expected) == 0;
}

bool blob_is_there(int datadir_fd, const char *sha256, uint64_t len)
{
        char path[BLOB_PATH_SIZE];
        struct stat st;
        blob_path(sha256, path);
        return fstatat(datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
               (uint64_t)st.st_size == len;
}

int blob_store_new(int datadir_fd, struct blob_store **ret)
{
        _cleanup_(freep) struct blob_store *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        int r = durable_mkdirs(datadir_fd, BLOB_DIR);
        if (r < 0)
                return r;
        r = draft_dir_init(&s->drafts, datadir_fd);
        if (r < 0)
                return r;
        s->datadir_fd = datadir_fd;
        *ret = TAKE_PTR(s);
        return 0;
}

struct blob_store *blob_store_free(struct blob_store *s)
{
        if (!s)
                return NULL;
        assert(blob_store_open_writers(s) == 0);
        draft_dir_done(&s->drafts);
        free(s);
        return NULL;
}

unsigned blob_store_open_writers(const struct blob_store *s)
{
        return atomic_load_explicit(&s->open_writers, memory_order_relaxed);
}

struct draft_dir *blob_store_drafts(struct blob_store *s)
{
        return &s->drafts;
}

static int begin_writing(struct blob_writer *w)
{
        w->hash = EVP_MD_CTX_new();
        w->stretch = malloc(STRETCH_BYTES);
        if (!w->hash || !w->stretch || EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        return draft_open(&w->store->drafts, &w->file);
}

int blob_writer_new(struct blob_store *s, struct blob_writer **ret)
{
        struct blob_writer *w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->store = s;
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
        draft_done(&w->file);
        EVP_MD_CTX_free(w->hash);
        free(w->stretch);
        atomic_fetch_sub_explicit(&w->store->open_writers, 1, memory_order_relaxed);
        free(w);
        return NULL;
}

static int write_stretch(struct blob_writer *w)
{
        int r = durable_write_all(w->file.fd, w->stretch, w->stretch_len);
        w->stretch_len = 0;
        return r;
}

int blob_writer_write(struct blob_writer *w, const void *data, size_t len)
{
        assert(w->state == BLOB_RECEIVING);
        if (EVP_DigestUpdate(w->hash, data, len) != 1)
                return -ENOMEM;
        w->len += len;
        for (const uint8_t *p = data, *end = p + len; p < end;) {
                size_t room = STRETCH_BYTES - w->stretch_len, n = (size_t)(end - p) < room ? (size_t)(end - p) : room;
                memcpy(w->stretch + w->stretch_len, p, n);
                w->stretch_len += n;
                p += n;
                int r = w->stretch_len == STRETCH_BYTES ? write_stretch(w) : 0;
                if (r < 0)
                        return r;
        }
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
        assert(w->state == BLOB_RECEIVING);
        int r = write_stretch(w);
        if (r < 0)
                return r;
        free(TAKE_PTR(w->stretch));
        if (EVP_DigestFinal_ex(w->hash, digest, &n) != 1 || n != 32)
                return -ENOMEM;
        *hex_encode(w->sha256, digest, n) = '\0';
        w->state = BLOB_FINISHED;
        return 0;
}

const char *blob_writer_sha256(const struct blob_writer *w)
{
        assert(w->state != BLOB_RECEIVING);
        return w->sha256;
}

enum { NAME_ABSENT, NAME_WHOLE, NAME_DAMAGED };

static int look_at(const struct blob_writer *w, const char *path)
{
        struct stat st;
        if (fstatat(w->store->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? NAME_ABSENT : -errno;
        return S_ISREG(st.st_mode) && (uint64_t)st.st_size == w->len ? NAME_WHOLE : NAME_DAMAGED;
}

int blob_writer_is_stored(const struct blob_writer *w, bool *ret)
{
        char path[BLOB_PATH_SIZE];
        assert(w->state == BLOB_FINISHED);
        blob_path(w->sha256, path);
        int r = look_at(w, path);
        *ret = r == NAME_WHOLE;
        return r < 0 ? r : 0;
}

int blob_writer_sync(struct blob_writer *w)
{
        assert(w->state == BLOB_FINISHED);
        return durable_sync(w->file.fd);
}

static void directory_of(const char *sha256, char ret[BLOB_DIR_SIZE])
{
        snprintf(ret, BLOB_DIR_SIZE, BLOB_DIR "/%.2s", sha256);
}

/* -ENOENT: this is the first blob of its directory, whose name everything is synced for. */
static int link_new(struct blob_writer *w, const char *path)
{
        int r = draft_link(&w->file, path);
        if (r != -ENOENT)
                return r;
        char dir[BLOB_DIR_SIZE];
        directory_of(w->sha256, dir);
        r = durable_mkdirs_later(w->store->datadir_fd, dir);
        draft_owe_sync(&w->store->drafts);
        return r < 0 ? r : draft_link(&w->file, path);
}

/* A file of the wrong size cannot have the content of that hash: ours takes its place. */
static int replace_damaged(struct blob_writer *w, const char *path)
{
        int there = look_at(w, path);
        if (there < 0 || there == NAME_WHOLE)
                return there < 0 ? there : 0;
        log_warn("a blob on disk had the wrong size and is replaced", LOG_STR("path", path));
        return draft_replace(&w->file, path);
}

int blob_writer_link(struct blob_writer *w, bool *ret_existed)
{
        char path[BLOB_PATH_SIZE];
        assert(w->state == BLOB_FINISHED);
        blob_path(w->sha256, path);
        int r = link_new(w, path);
        *ret_existed = r == -EEXIST;
        if (r == -EEXIST)
                r = replace_damaged(w, path);
        if (r == 0)
                w->state = BLOB_PUBLISHED;
        return r;
}

void blob_writer_drop_pages(struct blob_writer *w)
{
        assert(w->state == BLOB_PUBLISHED);
        (void)posix_fadvise(w->file.fd, 0, 0, POSIX_FADV_DONTNEED);
}

int blob_sync_name(struct blob_store *s, const char *sha256)
{
        char dir[BLOB_DIR_SIZE];
        directory_of(sha256, dir);
        if (draft_owes_sync(&s->drafts))
                return draft_sync_all(&s->drafts);
        int r = durable_sync_dir(s->datadir_fd, dir);
        if (r < 0 && failure_of(FAILURE_SYNC, r) != FAILURE_FINAL) /* it could not be opened */
                r = draft_sync_all(&s->drafts);
        return r;
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
