#include "ingest/ingest.h"

#include <errno.h>

#include "ingest/gate.h"
#include "ingest/log_export.h"
#include "ingest/log_handover.h"
#include "ingest/logs.h"

int ingest_loop_init(struct ingest_loop *l, struct ingest *ingest, struct loop *loop)
{
        *l = (struct ingest_loop){
                .ingest = ingest,
                .loop = loop,
                .gate = gate_loop_new(),
                .log_export = log_export_loop_new(ingest->config),
                .log_handover = log_handover_loop_new(l),
                .logs = logs_loop_new(),
        };
        return l->gate && l->log_export && l->log_handover && l->logs ? 0 : -ENOMEM;
}

void ingest_loop_done(struct ingest_loop *l)
{
        l->gate = gate_loop_free(l->gate);
        l->log_export = log_export_loop_free(l->log_export);
        l->log_handover = log_handover_loop_free(l->log_handover);
        l->logs = logs_loop_free(l->logs);
}
