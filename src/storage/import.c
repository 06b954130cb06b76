/* For each JSON file of a crash that is not here: its blobs, each hashed on its way, then the file itself, under its own
 * name and with its own time. Then log files. At the end the adoption (adopt.h) makes rows of what has come in, as it does
 * of a reference's directory; killed before that, the next start does, and a further run passes over what is here.
 *
 * A blob whose bytes are not those of its name is not taken, nor the crashes that need it: each is told, and left. */
#include "storage/import.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/adopt.h"
#include "storage/adopt_report.h"
#include "storage/crashes/index_check.h"
#include "storage/crashes/mirror.h"
#include "storage/import_internal.h"
#include "util/durable.h"
#include "util/entries.h"

#define READ_BYTES ((size_t)256 << 10)
#define COPY_NAME "tmp/import.db"

static int fail(struct error *err, int error, const char *doing, const char *what)
{
        error_set(err, "cannot %s %s: %s", doing, what, strerror(-error));
        return error;
}

void import_progress(struct import *i, const char *step)
{
        if (i->config->progress && ++i->looked_at % 256 == 0)
                i->config->progress(i->config->userdata, step, i->looked_at, 0);
}

void import_left(const struct import *i, const char *path, const char *why)
{
        i->config->left(i->config->userdata, path, why);
}

static int receive(int fd, struct blob_writer *w)
{
        _cleanup_(freep) uint8_t *block = malloc(READ_BYTES);
        ssize_t n = 0;
        int r = block ? 0 : -ENOMEM;
        while (r == 0 && (n = read(fd, block, READ_BYTES)) > 0)
                r = blob_writer_write(w, block, (size_t)n);
        if (r == 0 && n < 0)
                r = -errno;
        return r == 0 ? blob_writer_finish(w) : r;
}

static int publish(struct blob_store *blobs, struct blob_writer *w)
{
        bool existed;
        int r = blob_writer_sync(w);
        if (r == 0)
                r = blob_writer_link(w, true, &existed);
        return r == 0 ? blob_sync_name(blobs, blob_writer_sha256(w)) : r;
}

/* 0; 1: it is not there, or is not what its name says; -errno. */
static int take_blob(struct import *i, struct blob_store *blobs, const struct index_blob_use *use)
{
        _cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
        char path[BLOB_PATH_SIZE];
        struct stat st;
        blob_path(use->sha256, path);
        if (fstatat(i->o->dir.fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)st.st_size == use->len)
                return 0;
        _cleanup_(closep) int fd = openat(i->from_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return errno == ENOENT ? 1 : -errno;
        int r = blob_writer_new(blobs, &w);
        if (r == 0)
                r = receive(fd, w);
        if (r == 0 && (strcmp(blob_writer_sha256(w), use->sha256) != 0 || blob_writer_len(w) != use->len))
                return 1;
        if (r == 0)
                r = publish(blobs, w);
        if (r == 0) {
                i->counts.blobs++;
                i->counts.blob_bytes += use->len;
        }
        return r;
}

struct crash_import {
        struct import *i;
        struct blob_store *blobs;
};

static int take_blobs(struct crash_import *c, const struct index_crash *crash)
{
        int r = take_blob(c->i, c->blobs, &crash->dump);
        for (size_t n = 0; r == 0 && n < crash->n_attachments; n++)
                r = take_blob(c->i, c->blobs, &crash->attachments[n]);
        return r;
}

static int leave(struct import *i, const char *path, const char *why)
{
        i->counts.crashes_left++;
        import_left(i, path, why);
        return 0;
}

static int take_crash(void *userdata, const char *path, const char *name)
{
        struct crash_import *c = userdata;
        struct import *i = c->i;
        _cleanup_(adopt_report_freep) struct adopt_report *report = NULL;
        struct error err;
        int64_t id = 0;
        size_t len = strlen(name);
        if (len < 6 || strcmp(name + len - 5, ".json") != 0)
                return 0;
        import_progress(i, "crashes");
        int r = adopt_report_read(i->from_fd, path, &report, &err);
        if (r == -ENOMEM)
                return r;
        if (r != 0)
                return leave(i, path, err.text);
        const struct index_crash *crash = adopt_report_crash(report);
        r = index_has_crash(i->o->index, crash->metadata, crash->dump.sha256, &id);
        if (r < 0)
                return r;
        if (id) {
                i->counts.crashes_known++;
                return 0;
        }
        r = take_blobs(c, crash);
        if (r > 0)
                return leave(i, path, "a file that it names is not there, or its bytes are not those of its name");
        if (r == 0)
                r = mirror_write(i->o->dir.fd, crash);
        if (r == 0)
                i->counts.crashes++;
        return r;
}

static int take_crashes(struct import *i)
{
        _cleanup_(blob_store_freep) struct blob_store *blobs = NULL;
        struct crash_import c = { .i = i };
        int r = blob_store_new(i->o->dir.fd, &blobs);
        c.blobs = blobs;
        return r == 0 ? entries_each_below(i->from_fd, "crashes/by-source", 2, take_crash, &c) : r;
}

/* Which crashes are held, and so on, where it has a database of this version. */
static bool take_details(struct import *i)
{
        _cleanup_(index_freep) struct index *other = NULL;
        char copy[PATH_MAX];
        struct error err;
        int n = snprintf(copy, sizeof(copy), "%s/" COPY_NAME, i->o->path);
        if (n < 0 || n >= PATH_MAX || index_open_readonly(i->config->from, &other, &err) != 0)
                return false;
        unlinkat(i->o->dir.fd, COPY_NAME, 0);
        int r = index_copy_to(other, copy, NULL, NULL);
        if (r == 0)
                r = index_take_over(i->o->index, copy);
        unlinkat(i->o->dir.fd, COPY_NAME, 0);
        return r == 0;
}

int import_run(const struct import_config *config, struct offline *o, struct import_counts *ret, struct error *err)
{
        struct import i = { .config = config, .o = o };
        struct adopt_counts adopted;
        struct stat from, to;
        _cleanup_(closep) int from_fd = open(config->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (from_fd < 0 || fstat(from_fd, &from) < 0 || fstat(o->dir.fd, &to) < 0)
                return fail(err, -errno, "open", config->from);
        if (from.st_ino == to.st_ino && from.st_dev == to.st_dev)
                return fail(err, -EINVAL, "take into itself", config->from);
        i.from_fd = from_fd;
        i.files = (struct tree_copy){ .from_fd = from_fd, .to_fd = o->dir.fd };
        int r = take_crashes(&i);
        if (r == 0)
                r = import_logs(&i);
        if (r == 0)
                r = durable_sync_all(o->dir.fd);
        if (r == 0)
                r = adopt_data_dir(o->dir.fd, o->index, ADOPT_ALL, &adopted);
        if (r == 0)
                i.counts.details = take_details(&i);
        *ret = i.counts;
        return r < 0 ? fail(err, r, "take in", config->from) : 0;
}
