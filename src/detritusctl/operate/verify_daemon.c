/* Repairs by the running daemon, some findings in each request. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "control/operations.h"
#include "detritusctl/access/perform.h"
#include "detritusctl/operate/verify.h"
#include "protocol/json/json_read.h"
#include "protocol/json/json_write.h"

#define REQUEST_BYTES                                                                                                  \
        (OPERATIONS_REQUEST_MAX - 8192) /* from here on no further finding: one takes less than the rest */

struct request {
        const struct repair *repair;
        repair_cb cb;
        void *userdata;
        struct buf text;
        size_t from, n;          /* of the findings */
        const char *kind, *what; /* of the item whose finding is looked for */
        enum repair_outcome outcome;
        const char *how;
};

static int append(void *userdata, const struct verify_finding *f)
{
        struct json_write *w = userdata;
        json_write_object(w, NULL);
        json_write_string(w, "finding", verify_kind_name(f->kind));
        json_write_i64(w, "id", f->id);
        json_write_string(w, "what", f->what);
        json_write_end(w);
        return w->out->error;
}

/* As many findings as one request takes, at least one. */
static int fill(struct request *q)
{
        struct json_write w = json_write_to(&q->text);
        int r = 0;
        assert(q->from < q->repair->n);
        buf_clear(&q->text);
        json_write_object(&w, NULL);
        json_write_string(&w, "op", "repair");
        json_write_array(&w, "findings");
        for (q->n = 0;
             r == 0 && q->from + q->n < q->repair->n && q->n < OPERATIONS_REPAIRS_MAX && q->text.len < REQUEST_BYTES;
             q->n++)
                r = repair_get(q->repair, q->from + q->n, append, &w);
        if (r < 0)
                return r;
        json_write_end(&w);
        json_write_end(&w);
        buf_append_char(&q->text, '\0');
        return json_write_finish(&w);
}

/* Looks for the finding of an item, which has more members than the item. */
static int match(void *userdata, const struct verify_finding *f)
{
        struct request *q = userdata;
        if (strcmp(verify_kind_name(f->kind), q->kind) != 0 || strcmp(f->what, q->what) != 0)
                return 0;
        q->cb(q->userdata, f, q->outcome, q->how);
        return 1;
}

static int on_item(void *userdata, struct json_object *item)
{
        struct request *q = userdata;
        q->kind = json_read_string(item, "finding");
        q->what = json_read_string(item, "what");
        q->how = json_read_string(item, "how");
        if (!q->kind || !q->what || !q->how || !repair_outcome_parse(json_read_string(item, "repair"), &q->outcome))
                return -EBADMSG;
        for (size_t i = 0; i < q->n; i++) {
                if (repair_get(q->repair, q->from + i, match, q) != 0)
                        return 0;
        }
        return -EBADMSG;
}

int verify_repair_by_daemon(const struct ctl *ctl, const struct repair *repair, repair_cb cb, void *userdata)
{
        struct request q = { .repair = repair, .cb = cb, .userdata = userdata };
        int status = CTL_OK;
        while (status == CTL_OK && q.from < repair->n) {
                _cleanup_(json_read_freep) struct json_object *answer = NULL;
                if (fill(&q) < 0) {
                        status = CTL_FAILED;
                        break;
                }
                const struct perform_request operation = { .text = (const char *)q.text.data,
                                                           .on_item = on_item,
                                                           .userdata = &q };
                status = perform(ctl, &operation, &answer);
                q.from += q.n;
        }
        buf_done(&q.text);
        return status;
}
