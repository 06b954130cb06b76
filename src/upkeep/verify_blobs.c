/* Blobs: the counts and the file of each row, then the row of each file; deep, the bytes of each against its name.
 *
 * A blob is durable before any row names it, and its row is deleted before the file. So if the row is there before and
 * after the file was found missing, the file is lost. A file without a row may be on its way in or out. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_check.h"
#include "storage/index/index_read.h"
#include "upkeep/verify_internal.h"
#include "util/files/entries.h"
#include "util/files/regular.h"
#include "util/text/hex.h"

#define READ_BYTES ((size_t)256 << 10)

struct blob_row {
        char sha256[BLOB_HEX_SIZE];
        uint64_t len;
};

struct blob_page {
        struct verify *v;
        unsigned n;
        struct blob_row rows[VERIFY_PAGE_ROWS];
};

static int collect(void *userdata, const struct index_blob_count *c)
{
        struct blob_page *page = userdata;
        assert(page->n < VERIFY_PAGE_ROWS);
        struct blob_row *row = &page->rows[page->n++];
        char what[BLOB_HEX_SIZE + 8];
        snprintf(row->sha256, sizeof(row->sha256), "%s", c->sha256);
        row->len = c->len;
        if (c->refs == c->counted && c->in_blob_use == c->counted && c->wrong_blob_use == 0)
                return 0;
        snprintf(what, sizeof(what), "blob %s", c->sha256);
        return verify_report(page->v, VERIFY_COUNT, what, 0, "refs %lld, in blob_use %lld%s, counted %lld",
                             (long long)c->refs, (long long)c->in_blob_use,
                             c->wrong_blob_use ? " (by the wrong projects)" : "", (long long)c->counted);
}

static bool missing_again(struct verify *v, struct suspect *s)
{
        char sha256[BLOB_HEX_SIZE];
        struct stat st;
        uint64_t len;
        if (!blob_parse_path(s->path, sha256) || index_find_blob(v->index, sha256, &len) != 0)
                return false;
        if (fstatat(v->datadir_fd, s->path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                s->kind = errno == ENOENT ? VERIFY_BLOB_MISSING : VERIFY_UNREADABLE;
                snprintf(s->problem, sizeof(s->problem), "%s",
                         errno == ENOENT ? "a row names it, and it is not there" : strerror(errno));
                return true;
        }
        s->kind = VERIFY_BLOB_LENGTH;
        snprintf(s->problem, sizeof(s->problem), "%llu bytes, its row says %llu", (unsigned long long)st.st_size,
                 (unsigned long long)len);
        return !S_ISREG(st.st_mode) || (uint64_t)st.st_size != len;
}

/* v: who wants to see progress; NULL: nobody. */
static int hash_bytes(struct verify *v, int fd, EVP_MD_CTX *hash, uint8_t *block, char ret[BLOB_HEX_SIZE])
{
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned len;
        ssize_t n;
        if (EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        while ((n = read(fd, block, READ_BYTES)) > 0) {
                if (v)
                        verify_read_bytes(v, "blobs, MiB", (uint64_t)n, v->usage.crash_bytes);
                if (EVP_DigestUpdate(hash, block, (size_t)n) != 1)
                        return -ENOMEM;
        }
        if (n < 0)
                return -errno;
        if (EVP_DigestFinal_ex(hash, digest, &len) != 1)
                return -ENOMEM;
        *hex_encode(ret, digest, 32) = '\0';
        return 0;
}

static int hash_file(struct verify *v, int fd, uint8_t *block, char ret[BLOB_HEX_SIZE])
{
        EVP_MD_CTX *hash = EVP_MD_CTX_new();
        int r = hash ? hash_bytes(v, fd, hash, block, ret) : -ENOMEM;
        EVP_MD_CTX_free(hash);
        return r;
}

int verify_blob_bytes(int datadir_fd, const char *sha256, uint64_t len)
{
        char path[BLOB_PATH_SIZE], found[BLOB_HEX_SIZE];
        struct stat st;
        blob_path(sha256, path);
        _cleanup_(closep) int fd = -1;
        int r = regular_open(datadir_fd, path, &fd, &st);
        if (r == -ELOOP || r == -EINVAL || (r == 0 && (uint64_t)st.st_size != len))
                return VERIFY_BYTES_WRONG;
        if (r < 0)
                return r;
        _cleanup_(freep) uint8_t *block = malloc(READ_BYTES);
        r = block ? hash_file(NULL, fd, block, found) : -ENOMEM;
        return r < 0 ? r : strcmp(found, sha256) == 0 ? 0 : VERIFY_BYTES_WRONG;
}

/* The file was there a moment ago, with the right length. */
static int check_bytes(struct verify *v, const struct blob_row *row, const char *path, uint8_t *block)
{
        char found[BLOB_HEX_SIZE];
        _cleanup_(closep) int fd = -1;
        int r = regular_open(v->datadir_fd, path, &fd, NULL);
        if (r == -ENOENT)
                return 0; /* deleted meanwhile */
        if (r == 0)
                r = hash_file(v, fd, block, found);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return verify_report(v, VERIFY_UNREADABLE, path, 0, "%s", strerror(-r));
        if (strcmp(found, row->sha256) == 0)
                return 0;
        return verify_report(v, VERIFY_BLOB_CORRUPT, path, 0, "its bytes have the hash %s", found);
}

static int check_row(struct verify *v, const struct blob_row *row, uint8_t *block)
{
        struct suspect s = { .kind = VERIFY_BLOB_MISSING, .again = missing_again };
        blob_path(row->sha256, s.path);
        v->counts.blobs++;
        if (!v->config->deep)
                verify_progress(v, "blobs", v->counts.blobs, v->totals->blobs);
        if (!blob_is_there(v->datadir_fd, row->sha256, row->len))
                return verify_suspect(v, &s);
        v->counts.blob_bytes += row->len;
        return v->config->deep ? check_bytes(v, row, s.path, block) : 0;
}

static int check_rows(struct verify *v, struct blob_page *page, uint8_t *block)
{
        char last[BLOB_HEX_SIZE] = "";
        int r;
        do {
                page->n = 0;
                r = index_count_blobs(v->index, last, VERIFY_PAGE_ROWS, collect, page);
                for (unsigned i = 0; r == 0 && i < page->n; i++)
                        r = check_row(v, &page->rows[i], block);
                if (page->n > 0)
                        memcpy(last, page->rows[page->n - 1].sha256, sizeof(last));
        } while (r == 0 && page->n > 0);
        return r;
}

static bool orphan_again(struct verify *v, struct suspect *s)
{
        char sha256[BLOB_HEX_SIZE];
        struct stat st;
        uint64_t len;
        if (!blob_parse_name(strrchr(s->path, '/') + 1, sha256) || index_find_blob(v->index, sha256, &len) != -ENOENT ||
            fstatat(v->datadir_fd, s->path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return false;
        snprintf(s->problem, sizeof(s->problem), "no row names it; %llu bytes", (unsigned long long)st.st_size);
        return !verify_is_young(v, (struct moment){ .sec = st.st_ctim.tv_sec });
}

static int check_file(void *userdata, const char *path, const char *name)
{
        struct verify *v = userdata;
        struct suspect s = { .kind = VERIFY_BLOB_ORPHAN, .again = orphan_again };
        char sha256[BLOB_HEX_SIZE];
        uint64_t len;
        if (!blob_parse_name(name, sha256))
                return 0;
        int r = index_find_blob(v->index, sha256, &len);
        if (r != -ENOENT)
                return r;
        snprintf(s.path, sizeof(s.path), "%s", path);
        return verify_suspect(v, &s);
}

int verify_blobs(struct verify *v)
{
        _cleanup_(freep) struct blob_page *page = calloc(1, sizeof(*page));
        _cleanup_(freep) uint8_t *block = malloc(READ_BYTES);
        if (!page || !block)
                return -ENOMEM;
        page->v = v;
        int r = check_rows(v, page, block);
        return r == 0 ? entries_each_below(v->datadir_fd, "crashes/by-hash", 1, check_file, v) : r;
}
