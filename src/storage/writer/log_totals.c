/* Lines of a file add up while its note waits, so that none is lost; its bytes are replaced. */
#include "storage/writer/log_totals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_write.h"
#include "storage/writer/index_notes.h"

#define PENDING_MAX 8192 /* files */

struct pending {
        struct index_note note;
        char key[SOURCE_CANONICAL_SIZE + CLOCK_DAY_SIZE];
        struct source source;
        char platform[LOG_FILE_TEXT_SIZE];
        char version[LOG_FILE_TEXT_SIZE];
        char day[CLOCK_DAY_SIZE];
        uint64_t bytes, lines;
        struct moment at;
};

struct log_totals {
        struct index_notes *notes;
};

static const struct pending *pending_of(const struct index_note *note)
{
        return container_of(note, const struct pending, note);
}

static int write_pending(struct index *index, const struct index_note *note)
{
        const struct pending *p = pending_of(note);
        const struct index_log_file_totals totals = {
                .source = &p->source,
                .platform = p->platform,
                .version = p->version,
                .day = p->day,
                .bytes = p->bytes,
                .lines_more = p->lines,
                .seen_at = p->at,
        };
        return index_upsert_log_file(index, &totals);
}

static void merge(struct index_note *into, const struct index_note *note, bool newer)
{
        struct pending *p = container_of(into, struct pending, note);
        const struct pending *other = pending_of(note);
        p->lines += other->lines;
        if (!newer)
                return;
        p->bytes = other->bytes;
        p->at = other->at;
        memcpy(p->platform, other->platform, sizeof(p->platform));
        memcpy(p->version, other->version, sizeof(p->version));
}

static struct pending *pending_new(const struct log_file_note *note)
{
        struct pending *p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        p->source = note->source;
        p->bytes = note->bytes;
        p->lines = note->lines;
        p->at = note->at;
        snprintf(p->platform, sizeof(p->platform), "%s", note->platform);
        snprintf(p->version, sizeof(p->version), "%s", note->version);
        snprintf(p->day, sizeof(p->day), "%s", note->day);
        snprintf(p->key, sizeof(p->key), "%s/%s/%s", p->source.project, p->source.install_id, p->day);
        p->note.key = p->key;
        return p;
}

int log_totals_note(void *log_totals, const struct log_file_note *note)
{
        struct log_totals *t = log_totals;
        struct pending *p = pending_new(note);
        int r = p ? index_notes_put(t->notes, &p->note) : -ENOMEM;
        if (r < 0)
                free(p);
        return r;
}

void log_totals_flush(struct log_totals *t)
{
        index_notes_flush(t->notes);
}

int log_totals_new(struct index_writer *index, struct log_totals **ret)
{
        _cleanup_(freep) struct log_totals *t = calloc(1, sizeof(*t));
        const struct index_notes_config config = {
                .index = index, .pending_max = PENDING_MAX, .write = write_pending, .merge = merge
        };
        int r = t ? index_notes_new(&config, &t->notes) : -ENOMEM;
        if (r == 0)
                *ret = TAKE_PTR(t);
        return r;
}

struct log_totals *log_totals_free(struct log_totals *t)
{
        if (!t)
                return NULL;
        index_notes_free(t->notes);
        free(t);
        return NULL;
}
