/* Text: a first line with the version and the key, then "<entry> <mac> <check>" for each token, all in hex. The
 * check is a MAC of the two before it, so that no damaged line can make a good token look bad. Lines are appended
 * while the daemon runs; a start writes the file again with those lines that still fit. */

#include "auth/token_seen.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/files/durable.h"
#include "util/log.h"
#include "util/text/hex.h"

#define TITLE "detritus tokens.seen 1 "
#define TITLE_CHARS (sizeof(TITLE) - 1)
#define HEAD_CHARS (TITLE_CHARS + 2 * TOKEN_MAC_KEY_BYTES + 1)
#define HEX_CHARS (2 * TOKEN_MAC_BYTES)
#define LINE_CHARS (3 * HEX_CHARS + 3)
#define FILE_MAX_BYTES (64 << 20) /* 340,000 tokens; a longer file is begun anew */

struct line {
        uint8_t entry[TOKEN_MAC_BYTES], mac[TOKEN_MAC_BYTES], check[TOKEN_MAC_BYTES];
};

struct token_seen {
        int dirfd; /* borrowed; -1: nothing is kept */
        struct token_mac *mac;
        uint8_t key[TOKEN_MAC_KEY_BYTES];
        pthread_mutex_t lock; /* of fd */
        int fd;               /* open for appending, or -1 */
        struct line *lines;   /* what was read, until token_seen_teach() */
        size_t n_lines;
};

static bool unhex(const char *s, size_t n, uint8_t *ret)
{
        if (!hex_is_lower(s, 2 * n))
                return false;
        for (size_t i = 0; i < n; i++) {
                const char digits[3] = { s[2 * i], s[2 * i + 1], '\0' };
                ret[i] = (uint8_t)strtoul(digits, NULL, 16);
        }
        return true;
}

static int make_check(const struct token_seen *s, const struct line *l, uint8_t ret[TOKEN_MAC_BYTES])
{
        return token_mac_make(s->mac, l, offsetof(struct line, check), ret);
}

/* 0 or -ENOMEM. */
static int name_entry(const struct token *t, uint8_t ret[TOKEN_MAC_BYTES])
{
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        bool done = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) && EVP_DigestUpdate(md, t->id, strlen(t->id) + 1) &&
                    EVP_DigestUpdate(md, t->secret, strlen(t->secret)) && EVP_DigestFinal_ex(md, ret, NULL);
        EVP_MD_CTX_free(md);
        return done ? 0 : -ENOMEM;
}

static int by_entry(const void *a, const void *b)
{
        return memcmp(((const struct line *)a)->entry, ((const struct line *)b)->entry, TOKEN_MAC_BYTES);
}

/* ---- reading ---- */

static bool parse_line(const char *text, struct line *ret)
{
        return unhex(text, TOKEN_MAC_BYTES, ret->entry) && text[HEX_CHARS] == ' ' &&
               unhex(text + HEX_CHARS + 1, TOKEN_MAC_BYTES, ret->mac) && text[2 * HEX_CHARS + 1] == ' ' &&
               unhex(text + 2 * HEX_CHARS + 2, TOKEN_MAC_BYTES, ret->check) && text[LINE_CHARS - 1] == '\n';
}

static int parse_lines(struct token_seen *s, const char *text, size_t len)
{
        uint8_t check[TOKEN_MAC_BYTES];
        s->lines = calloc(len / LINE_CHARS + 1, sizeof(*s->lines));
        if (!s->lines)
                return -ENOMEM;
        for (size_t end; len >= LINE_CHARS; text += end, len -= end) {
                struct line *l = &s->lines[s->n_lines];
                const char *newline = memchr(text, '\n', len);
                end = newline ? (size_t)(newline - text) + 1 : len;
                if (end == LINE_CHARS && parse_line(text, l) && make_check(s, l, check) == 0 &&
                    memcmp(check, l->check, sizeof(check)) == 0)
                        s->n_lines++;
        }
        qsort(s->lines, s->n_lines, sizeof(*s->lines), by_entry);
        return 0;
}

/* A regular file of ours that nobody else may read or write, or -1. */
static int open_ours(int dirfd)
{
        struct stat st;
        int fd = openat(dirfd, TOKEN_SEEN_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -1;
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0 &&
            st.st_size <= FILE_MAX_BYTES)
                return fd;
        log_warn("not ours alone to read and write: the tokens in it are verified again",
                 LOG_STR("file", TOKEN_SEEN_FILE));
        close(fd);
        return -1;
}

/* 0 also when there is nothing to read: then the key is new. */
static int read_file(struct token_seen *s)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        int fd = s->dirfd >= 0 ? open_ours(s->dirfd) : -1;
        if (fd >= 0) {
                if (buf_read_fd(&text, fd, FILE_MAX_BYTES) < 0)
                        buf_consume(&text, text.len);
                close(fd);
        }
        bool fits = text.len >= HEAD_CHARS && memcmp(text.data, TITLE, TITLE_CHARS) == 0 &&
                    unhex((char *)text.data + TITLE_CHARS, sizeof(s->key), s->key) && text.data[HEAD_CHARS - 1] == '\n';
        if (!fits && RAND_bytes(s->key, sizeof(s->key)) != 1)
                return -EIO;
        int r = token_mac_new(s->key, &s->mac);
        if (r == 0 && fits)
                r = parse_lines(s, (char *)text.data + HEAD_CHARS, text.len - HEAD_CHARS);
        if (text.len > 0)
                OPENSSL_cleanse(text.data, text.len);
        return r;
}

int token_seen_open(int dirfd, struct token_seen **ret)
{
        _cleanup_(token_seen_freep) struct token_seen *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->dirfd = dirfd;
        s->fd = -1;
        pthread_mutex_init(&s->lock, NULL);
        int r = read_file(s);
        if (r == 0)
                *ret = TAKE_PTR(s);
        return r;
}

struct token_seen *token_seen_free(struct token_seen *s)
{
        if (!s)
                return NULL;
        if (s->fd >= 0)
                close(s->fd);
        token_mac_free(s->mac);
        OPENSSL_cleanse(s->key, sizeof(s->key));
        free(s->lines);
        pthread_mutex_destroy(&s->lock);
        free(s);
        return NULL;
}

const struct token_mac *token_seen_mac(const struct token_seen *s)
{
        return s->mac;
}

/* ---- writing ---- */

static int print_line(struct buf *to, const struct line *l)
{
        char text[LINE_CHARS], *p = hex_encode(text, l->entry, sizeof(l->entry));
        *p++ = ' ';
        p = hex_encode(p, l->mac, sizeof(l->mac));
        *p++ = ' ';
        p = hex_encode(p, l->check, sizeof(l->check));
        *p = '\n';
        return buf_append(to, text, sizeof(text));
}

static int print_head(const struct token_seen *s, struct buf *to)
{
        char key[2 * TOKEN_MAC_KEY_BYTES];
        hex_encode(key, s->key, sizeof(s->key));
        int r = buf_append_str(to, TITLE);
        if (r == 0)
                r = buf_append(to, key, sizeof(key));
        if (r == 0)
                r = buf_append_char(to, '\n');
        OPENSSL_cleanse(key, sizeof(key));
        return r;
}

/* The file becomes text. What is not written is only verified again. */
static void begin_file(struct token_seen *s, const struct buf *text)
{
        int r = durable_mkdirs_later(s->dirfd, "journal"); /* without syncs there is no journal */
        if (r == 0)
                r = durable_replace_file_later(s->dirfd, TOKEN_SEEN_FILE, text->data, text->len, 0600);
        if (r == 0) {
                s->fd = openat(s->dirfd, TOKEN_SEEN_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
                r = s->fd < 0 ? -errno : 0;
        }
        if (r < 0)
                log_warn("cannot be written: after a restart all tokens are verified again",
                         LOG_STR("file", TOKEN_SEEN_FILE), LOG_STR("reason", strerror(-r)));
}

int token_seen_teach(struct token_seen *s, const struct tokens *set, struct token_known *known)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        int r = print_head(s, &text);
        for (size_t i = 0; r == 0 && i < set->n && s->n_lines > 0; i++) {
                struct line key;
                r = name_entry(&set->list[i], key.entry);
                if (r < 0)
                        return r;
                const struct line *l = bsearch(&key, s->lines, s->n_lines, sizeof(key), by_entry);
                if (!l)
                        continue;
                token_known_learn(known, &set->list[i], l->mac);
                r = print_line(&text, l);
        }
        free(TAKE_PTR(s->lines));
        s->n_lines = 0;
        if (r == 0 && s->dirfd >= 0)
                begin_file(s, &text);
        if (text.len > 0)
                OPENSSL_cleanse(text.data, text.len);
        return r;
}

void token_seen_add(struct token_seen *s, const struct token *t, const uint8_t mac[TOKEN_MAC_BYTES])
{
        _cleanup_(buf_done) struct buf text = { 0 };
        struct line l;
        if (s->fd < 0)
                return;
        memcpy(l.mac, mac, sizeof(l.mac));
        if (name_entry(t, l.entry) < 0 || make_check(s, &l, l.check) < 0 || print_line(&text, &l) < 0)
                return;
        pthread_mutex_lock(&s->lock);
        /* A line cut short is skipped by the next start; so is the one that is then appended to it. */
        if (durable_write_all(s->fd, text.data, text.len) < 0)
                log_warn("cannot be written: after a restart this token is verified again",
                         LOG_STR("file", TOKEN_SEEN_FILE), LOG_STR("token", t->id));
        pthread_mutex_unlock(&s->lock);
}
