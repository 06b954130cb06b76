/* A report is put together field by field as crash_metadata_parse() would hand it on, so that the index and the mirror
 * take it as if it had been received; tests read the JSON back. */
#include "report.h"

#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "util/text/hex.h"

#define CONFIGS 200

static const char *const modules[] = { "render", "session", "scheduler", "decoder", "cache", "index", "audio", "sync" };
static const char *const threads[] = { "main", "worker-3", "io", "gpu", "tokio-runtime-worker" };

static const char *cause(unsigned bug)
{
        static const char *const causes[] = {
                "index out of bounds: the len is 16 but the index is 16",
                "called `Option::unwrap()` on a `None` value",
                "attempt to subtract with overflow",
                "called `Result::unwrap()` on an `Err` value: Timeout(30s)",
                "already borrowed: BorrowMutError",
                "assertion `left == right` failed\n  left: 3\n right: 4",
                "out of texture memory: wanted 67108864 bytes",
                "byte index 5 is not a char boundary; it is inside 'é' (bytes 4..6) of `café`",
        };
        return causes[bug % ARRAY_LEN(causes)];
}

/* A tenth of the bugs leave nothing but a dump. */
static const char *panic_text(struct report *r, unsigned bug)
{
        if (bug % 10 == 9)
                return NULL;
        snprintf(r->panic_text, sizeof(r->panic_text), "thread '%s' panicked at src/%s/%s.rs:%u:%u:\n%s",
                 threads[bug % ARRAY_LEN(threads)], modules[bug % ARRAY_LEN(modules)],
                 modules[bug / 8 % ARRAY_LEN(modules)], 12 + bug * 7 % 900, 5 + bug % 40, cause(bug));
        return r->panic_text;
}

static const char *kind(unsigned bug)
{
        return bug % 20 == 13 ? "RustcIce" : bug % 4 == 1 ? "PanicTarball" : "Minidump";
}

int report_content(const struct world *w, const struct report_file *f, struct buf *ret)
{
        struct dice d = dice_for(w, "content", f->number * 256 + (uint8_t)f->kind);

        buf_clear(ret);
        int r = buf_printf(ret, "%s of a made-up crash, %c%llu of seed %llu\n", f->kind == 'd' ? "MDMP" : "Attachment",
                           f->kind, (unsigned long long)f->number, (unsigned long long)w->seed);
        if (r == 0)
                r = buf_reserve(ret, f->len);
        while (r == 0 && ret->len + 20 <= f->len)
                r = buf_printf(ret, "%016llx\n", (unsigned long long)dice_next(&d));
        while (r == 0 && ret->len < f->len)
                r = buf_append_char(ret, '.');
        return r;
}

static int digest(const struct reporter *x, struct report_file *f)
{
        _cleanup_(buf_done) struct buf content = { 0 };
        uint8_t hash[32];
        int r;

        if (x->whole_content)
                r = report_content(x->world, f, &content);
        else
                r = buf_printf(&content, "%c%llu of seed %llu", f->kind, (unsigned long long)f->number,
                               (unsigned long long)x->world->seed);
        if (r == 0 && EVP_Q_digest(NULL, "SHA256", NULL, content.data, content.len, hash, NULL) != 1)
                r = -ENOMEM;
        if (r == 0)
                *hex_encode(f->sha256, hash, sizeof(hash)) = '\0';
        return r;
}

/* Most are around the average, a few are ten times as long. */
static uint64_t length(struct dice d, uint64_t average)
{
        double f = dice_fraction(&d);
        return (uint64_t)((double)average * (0.4 + 0.5 * dice_fraction(&d) + fmin(0.1 / (1.0001 - f), 10))) + 128;
}

static int make_dump(struct reporter *x, uint64_t number, struct dice *d, struct report *r)
{
        uint64_t n = number;
        if (number > 0 && dice_percent(d, 12)) /* sent again, or the same bytes from another install */
                n = number - 1 - dice_below(d, number < 1000 ? number : 1000);
        r->dump = (struct report_file){ 'd', n, length(dice_for(x->world, "dump", n), x->bytes), "" };
        r->crash.dump = (struct index_blob_use){
                .sha256 = r->dump.sha256,
                .len = r->dump.len,
                .content_encoding = dice_percent(d, 60) ? "zstd" : NULL,
                .dedup = x->seen[n],
        };
        x->seen[n] = true;
        return digest(x, &r->dump);
}

static int add_attachment(struct reporter *x, struct report *r, char kind_of_file, uint64_t number)
{
        static const struct {
                char kind;
                const char *key, *filename, *content_type, *encoding;
                unsigned divisor; /* of a dump's length */
        } kinds[] = {
                { 'l', "log", "app.log", "text/plain", "gzip", 4 },
                { 's', "screenshot", "screen.png", "image/png", NULL, 2 },
                { 'c', "config", NULL, "application/json", NULL, 16 },
        };
        size_t i = kind_of_file == 'l' ? 0 : kind_of_file == 's' ? 1 : 2, at = r->crash.n_attachments++;
        struct report_file *f = &r->attachments[at];
        bool *seen = kind_of_file == 'c' ? &x->configs_seen[number] : NULL;

        *f = (struct report_file){ kind_of_file, number,
                                   length(dice_for(x->world, kinds[i].key, number), x->bytes / kinds[i].divisor), "" };
        r->uses[at] = (struct index_blob_use){
                .sha256 = f->sha256,
                .len = f->len,
                .content_encoding = kinds[i].encoding,
                .dedup = seen && *seen,
                .key = kinds[i].key,
                .filename = kinds[i].filename,
                .content_type = kinds[i].content_type,
        };
        r->manifest[at] = (struct crash_manifest){ kinds[i].key, kinds[i].filename, kinds[i].content_type, f->len };
        if (seen)
                *seen = true;
        return digest(x, f);
}

static int make_attachments(struct reporter *x, uint64_t number, struct dice *d, struct report *r)
{
        int e = 0;
        if (dice_percent(d, 40))
                e = add_attachment(x, r, 'l', number);
        if (e == 0 && dice_percent(d, 25))
                e = add_attachment(x, r, 'c', dice_below(d, CONFIGS));
        if (e == 0 && dice_percent(d, 8))
                e = add_attachment(x, r, 's', number);
        return e;
}

/* An install that was there at that time, and crashes; the first ones more often. */
static void pick_source(const struct world *w, int64_t ms, struct dice *d, struct world_source *ret)
{
        unsigned day = (unsigned)((ms - w->start_ms) / WORLD_DAY_MS);
        for (unsigned attempt = 0; attempt < 50; attempt++) {
                double f = dice_fraction(d);
                world_source(w, (uint64_t)(f * f * (double)w->sources), ret);
                if (ret->crashes && ret->first_day <= day && day <= ret->last_day)
                        return;
        }
        world_source(w, 0, ret);
}

/* Nothing in it needs escapes but the panic's. */
static int put_json(struct report *r)
{
        const struct crash_metadata *m = &r->metadata;
        char at[CLOCK_RFC3339_SIZE];

        clock_format_rfc3339(m->timestamp, at);
        buf_clear(&r->json);
        int e = buf_printf(
                &r->json,
                "{\"schema_version\":1,\"source\":{\"project\":\"%s\",\"platform\":\"%s\",\"version\":\"%s\","
                "\"install_id\":\"%s\"},\"timestamp\":\"%s\",\"kind\":\"%s\",\"build\":{\"git_sha\":\"%s\","
                "\"profile\":\"%s\",\"target_triple\":\"%s\"},\"panic_text\":",
                m->source.project, m->platform, m->version, m->source.install_id, at, m->kind, m->git_sha, m->profile,
                m->target_triple);
        if (e == 0)
                e = buf_append_str(&r->json, m->panic_text ? "\"" : "null");
        for (const char *c = m->panic_text; e == 0 && c && *c; c++)
                e = *c == '\n' ? buf_append_str(&r->json, "\\n") : buf_append_char(&r->json, *c);
        if (e == 0)
                e = buf_printf(&r->json, "%s,\"context\":%s,\"attachments\":[", m->panic_text ? "\"" : "", m->context);
        for (size_t i = 0; e == 0 && i < m->n_manifest; i++) {
                const struct crash_manifest *a = &m->manifest[i];
                e = buf_printf(&r->json, "%s{\"key\":\"%s\",\"filename\":%s%s%s,\"content_type\":\"%s\",\"len\":%llu}",
                               i > 0 ? "," : "", a->key, a->filename ? "\"" : "", a->filename ? a->filename : "null",
                               a->filename ? "\"" : "", a->content_type, (unsigned long long)a->len);
        }
        return e == 0 ? buf_append(&r->json, "]}", sizeof("]}")) : e;
}

static void make_context(struct report *r, struct dice *d)
{
        snprintf(r->context, sizeof(r->context),
                 "{\"program\":\"%s\",\"uptime_seconds\":%llu,\"memory_mib\":%llu,\"seed\":%llu,\"features\":[%s]}",
                 r->source.source.project, (unsigned long long)(dice_fraction(d) * dice_fraction(d) * 200000),
                 (unsigned long long)(256 << dice_below(d, 8)), (unsigned long long)dice_next(d),
                 dice_percent(d, 30) ? "\"beta\"" : "");
}

/* Clocks of clients are a little behind, or a report waited until there was a network again. */
static struct moment crashed_at(uint64_t number, int64_t received_ms, struct dice *d)
{
        int64_t delay_ms = 200 + (int64_t)dice_below(d, 60000);
        if (dice_percent(d, 5))
                delay_ms += (int64_t)dice_below(d, 2 * WORLD_DAY_MS);
        struct moment at = world_moment(received_ms - delay_ms);
        at.nsec += (uint32_t)(number % 1000000); /* no two are the same report */
        return at;
}

int report_make(struct reporter *x, uint64_t number, struct report *r)
{
        const struct world *w = x->world;
        struct dice d = dice_for(w, "crash", number);
        double place = ((double)number + dice_fraction(&d)) / (double)w->crashes;
        int64_t received_ms = w->start_ms + (int64_t)(place * (double)(w->end_ms - w->start_ms - 1));

        r->crash = (struct index_crash){ .metadata = &r->metadata,
                                         .received_at = world_moment(received_ms),
                                         .attachments = r->uses };
        pick_source(w, received_ms, &d, &r->source);
        unsigned version = world_version_at(w, &r->source, received_ms), bug = world_bug(&d, version);
        world_version_name(&r->source, version, r->version);
        snprintf(r->git_sha, sizeof(r->git_sha), "%07x", (version + 1) * 0x1d0f2e3U & 0xfffffff);
        make_context(r, &d);
        r->held = dice_below(&d, 1000) < 5;
        int e = make_dump(x, number, &d, r);
        if (e == 0)
                e = make_attachments(x, number, &d, r);
        r->metadata = (struct crash_metadata){
                .source = r->source.source,
                .platform = r->source.platform,
                .version = r->version,
                .timestamp = crashed_at(number, received_ms, &d),
                .kind = kind(bug),
                .git_sha = r->git_sha,
                .profile = dice_percent(&d, 95) ? "release" : "debug",
                .target_triple = r->source.target_triple,
                .panic_text = panic_text(r, bug),
                .context = r->context,
                .n_manifest = r->crash.n_attachments,
                .manifest = r->manifest,
        };
        if (e == 0)
                e = put_json(r);
        r->metadata.json = (const char *)r->json.data;
        return e;
}
