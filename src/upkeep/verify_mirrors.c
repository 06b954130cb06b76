/* JSON files: each crash has one that says what its row says, and each file has its crash.
 *
 * Layout does not matter, since detritus-server may have written the file: JSON is compared as JSON. A row is committed
 * before its file is written, and deleted before its file. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/json/json_read.h"
#include "storage/index/index_read.h"
#include "storage/store/adopt_report.h"
#include "upkeep/verify_internal.h"
#include "util/buf.h"
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/files/regular.h"

#define JSON_DEPTH_MAX 64 /* metadata may nest 32 deep */

struct mirror_page {
        size_t n;
        int64_t ids[VERIFY_PAGE_ROWS];
};

static int collect(void *userdata, const struct index_crash_row *row)
{
        struct mirror_page *page = userdata;
        assert(page->n < VERIFY_PAGE_ROWS);
        page->ids[page->n++] = row->id;
        return 0;
}

static bool same_json(const struct buf *a, const struct buf *b)
{
        if (a->len > 0 && a->len == b->len && memcmp(a->data, b->data, a->len) == 0)
                return true;
        _cleanup_(json_read_freep) struct json_object *x = NULL, *y = NULL;
        return json_read_parse((const char *)a->data, a->len, JSON_DEPTH_MAX, &x) == 0 &&
               json_read_parse((const char *)b->data, b->len, JSON_DEPTH_MAX, &y) == 0 && json_object_equal(x, y);
}

static int read_mirror(int datadir_fd, const char *path, struct buf *out)
{
        _cleanup_(closep) int fd = -1;
        int r = regular_open(datadir_fd, path, &fd, NULL);
        return r < 0 ? r : buf_read_fd(out, fd, ADOPT_REPORT_MAX_BYTES);
}

/* A look at one crash: the path of its file, and what is wrong with it. */
struct look {
        struct verify *v;
        struct suspect s;
        bool wrong, young;
};

static int look_at(void *userdata, const struct index_crash *crash)
{
        struct look *look = userdata;
        struct suspect *s = &look->s;
        _cleanup_(buf_done) struct buf expected = { 0 }, found = { 0 };
        mirror_path(&crash->metadata->source, crash->metadata->timestamp, crash->dump.sha256, s->path);
        look->young = verify_is_young(look->v, crash->received_at);
        int r = read_mirror(look->v->datadir_fd, s->path, &found);
        look->wrong = true;
        if (r == -ENOENT) {
                s->kind = VERIFY_MIRROR_MISSING;
                snprintf(s->problem, sizeof(s->problem), "crash %lld has no JSON file", (long long)s->id);
                return 0;
        }
        s->kind = VERIFY_MIRROR_DIFFERENT;
        if (r < 0) {
                snprintf(s->problem, sizeof(s->problem), "the JSON file of crash %lld: %s", (long long)s->id,
                         strerror(-r));
                return r == -ENOMEM ? r : 0;
        }
        snprintf(s->problem, sizeof(s->problem), "it differs from the row of crash %lld", (long long)s->id);
        r = mirror_render(crash, &expected);
        look->wrong = r == 0 && !same_json(&found, &expected);
        return r;
}

static bool crash_again(struct verify *v, struct suspect *s)
{
        struct look look = { .v = v, .s = *s };
        int r = index_read_crash(v->index, s->id, look_at, &look);
        if (r == -ENOENT)
                return false;
        if (r == 0)
                *s = look.s;
        /* a file that is there was renamed to its name whole */
        return r == 0 && look.wrong && !(look.young && look.s.kind == VERIFY_MIRROR_MISSING);
}

static int check_crash(struct verify *v, int64_t id)
{
        struct look look = { .v = v, .s = { .again = crash_again, .id = id } };
        verify_progress(v, "crashes", ++v->counts.crashes, v->totals->crashes);
        int r = index_read_crash(v->index, id, look_at, &look);
        if (r == -EINVAL) {
                char what[32];
                snprintf(what, sizeof(what), "crash %lld", (long long)id);
                return verify_report(v, VERIFY_UNREADABLE, what, id, "its row cannot be understood");
        }
        if (r == -ENOENT)
                return 0;
        return r == 0 && look.wrong ? verify_suspect(v, &look.s) : r;
}

static int check_crashes(struct verify *v, struct mirror_page *page)
{
        int64_t last = 0;
        int r;
        do {
                page->n = 0;
                r = index_crashes_after(v->index, last, VERIFY_PAGE_ROWS, collect, page);
                for (size_t i = 0; r == 0 && i < page->n; i++)
                        r = check_crash(v, page->ids[i]);
                if (page->n > 0)
                        last = page->ids[page->n - 1];
        } while (r == 0 && page->n > 0);
        return r;
}

/* Does the crash of this file have a row: by the name of the file, else by its content? 0 or -errno. */
static int has_crash(struct verify *v, const char *path, bool *ret_known)
{
        _cleanup_(adopt_report_freep) struct adopt_report *report = NULL;
        struct crash_metadata named = { 0 };
        struct error err;
        char sha256[BLOB_HEX_SIZE];
        int64_t id = 0;
        int r = 0;
        if (mirror_parse_path(path, &named.source, &named.timestamp, sha256))
                r = index_has_crash(v->index, &named, sha256, &id);
        if (r == 0 && id == 0) {
                r = adopt_report_read(v->datadir_fd, path, &report, &err);
                if (r == -ENOMEM)
                        return r;
                r = r != 0 ? 0
                           : index_has_crash(v->index, adopt_report_crash(report)->metadata,
                                             adopt_report_crash(report)->dump.sha256, &id);
        }
        *ret_known = id != 0;
        return r;
}

static bool extra_again(struct verify *v, struct suspect *s)
{
        bool known = false;
        int r = has_crash(v, s->path, &known);
        snprintf(s->problem, sizeof(s->problem), "no row has this crash");
        return r == 0 && !known && faccessat(v->datadir_fd, s->path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int check_file(void *userdata, const char *path, const char *name)
{
        struct verify *v = userdata;
        struct suspect s = { .kind = VERIFY_MIRROR_EXTRA, .again = extra_again };
        bool known = false;
        if (!path_ends_with(name, ".json") || strlen(path) >= sizeof(s.path))
                return 0;
        v->counts.mirrors++;
        int r = has_crash(v, path, &known);
        if (r < 0 || known)
                return r;
        snprintf(s.path, sizeof(s.path), "%s", path);
        return verify_suspect(v, &s);
}

int verify_mirrors(struct verify *v)
{
        _cleanup_(freep) struct mirror_page *page = calloc(1, sizeof(*page));
        if (!page)
                return -ENOMEM;
        int r = check_crashes(v, page);
        return r == 0 ? entries_each_below(v->datadir_fd, "crashes/by-source", 2, check_file, v) : r;
}
