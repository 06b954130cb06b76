#include "storage/crashes/mirror_batch.h"

#include <assert.h>

int mirror_batch_add(struct mirror_batch *b, struct draft_dir *drafts, const struct index_crash *crash)
{
        const struct crash_metadata *m = crash->metadata;
        assert(b->n < MIRROR_BATCH_MAX);
        int r = mirror_draft(drafts, crash, &b->files[b->n].file);
        if (r < 0)
                return r;
        mirror_path(&m->source, m->timestamp, crash->dump.sha256, b->files[b->n++].path);
        return 0;
}

int mirror_batch_link(struct mirror_batch *b)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < b->n; i++)
                r = mirror_link_as(&b->files[i].file, b->files[i].path);
        mirror_batch_done(b);
        return r;
}

void mirror_batch_done(struct mirror_batch *b)
{
        while (b->n > 0)
                draft_done(&b->files[--b->n].file);
}
