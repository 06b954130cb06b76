/* Repairs beside a running daemon: it does them itself, some findings a request. */
#include <errno.h>
#include <string.h>

#include "control/operations.h"
#include "detritusctl/cli/control_client.h"
#include "detritusctl/operate/verify.h"
#include "protocol/json/json_document.h"

#define REQUEST_BYTES (OPERATIONS_REQUEST_MAX - 8192) /* then no further finding, which has less than that */

struct request {
        const struct repair *repair;
        repair_cb cb;
        void *userdata;
        struct buf text;
        size_t from, n;          /* of the findings */
        const char *kind, *what; /* of the item that is looked for */
        enum repair_outcome outcome;
        const char *how;
};

static int append(void *userdata, const struct verify_finding *f)
{
        struct buf *text = &((struct request *)userdata)->text;
        int r = buf_printf(text, "{\"finding\":\"%s\",\"id\":%lld,\"what\":", verify_kind_name(f->kind),
                           (long long)f->id);
        if (r == 0)
                r = json_document_append_string(text, f->what);
        return r == 0 ? buf_append_str(text, "},") : r;
}

static int fill(struct request *q)
{
        buf_clear(&q->text);
        int r = buf_append_str(&q->text, "{\"op\":\"repair\",\"findings\":[");
        for (q->n = 0;
             r == 0 && q->from + q->n < q->repair->n && q->n < OPERATIONS_REPAIRS_MAX && q->text.len < REQUEST_BYTES;
             q->n++)
                r = repair_get(q->repair, q->from + q->n, append, q);
        if (r < 0)
                return r;
        q->text.len--; /* the last comma */
        r = buf_append_str(&q->text, "]}");
        return r == 0 ? buf_append_char(&q->text, '\0') : r;
}

/* The finding that an item tells of has more to say than the item. */
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
        q->kind = ctl_text(item, "finding");
        q->what = ctl_text(item, "what");
        q->how = ctl_text(item, "how");
        if (!q->kind || !q->what || !q->how || !repair_outcome_parse(ctl_text(item, "repair"), &q->outcome))
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
                _cleanup_(json_object_putp) struct json_object *answer = NULL;
                if (fill(&q) < 0) {
                        status = CTL_FAILED;
                        break;
                }
                const struct ctl_operation operation = { .request = (const char *)q.text.data,
                                                         .on_item = on_item,
                                                         .userdata = &q };
                status = ctl_operate(ctl, &operation, &answer);
                q.from += q.n;
        }
        buf_done(&q.text);
        return status;
}
