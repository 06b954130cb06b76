/* A retention cycle: the janitor's, or on this thread where there is none. With "dry_run" a read-only connection counts
 * what has expired, and what is beyond a cap. */
#include "control/operation.h"
#include "storage/index/index_read.h"
#include "util/log.h"

#define AFTER_ANY_DAY "9999-99-99"

static struct moment days_before(struct moment at, unsigned days)
{
        at.sec -= (int64_t)days * 86400;
        return at;
}

static uint64_t beyond(uint64_t bytes, uint64_t max)
{
        return max > 0 && bytes > max ? bytes - max : 0;
}

/* project "": all together. */
static int put_cap(struct json_write *w, struct index *index, const char *project, const struct config_caps *caps)
{
        struct index_usage usage;
        int r = index_usage(index, project, &usage);
        if (r < 0)
                return r;
        uint64_t logs = beyond(usage.log_bytes, caps->logs_max_bytes);
        uint64_t crashes = beyond(usage.crash_bytes, caps->crashes_max_bytes);
        if (logs == 0 && crashes == 0)
                return 0;
        json_write_object(w, NULL);
        json_write_bool(w, "beyond", true);
        json_write_string(w, "project", *project ? project : NULL);
        json_write_u64(w, "log_bytes", logs);
        json_write_u64(w, "crash_bytes", crashes);
        json_write_end(w);
        return 0;
}

/* What is beyond a cap now. What expires counts, too, so it is an upper bound. */
static int put_caps(struct json_write *w, struct index *index, const struct config *config)
{
        int r = 0;
        json_write_array(w, "beyond_caps");
        for (size_t i = 0; r == 0 && i < config->n_projects; i++)
                r = put_cap(w, index, config->projects[i].name, &config->projects[i].caps);
        if (r == 0)
                r = put_cap(w, index, "", &config->caps);
        json_write_end(w);
        return r;
}

static int survey(struct operation *o)
{
        _cleanup_(index_freep) struct index *index = NULL;
        const struct config *config = o->operations->config.config;
        struct moment now = clock_now();
        char day[CLOCK_DAY_SIZE] = AFTER_ANY_DAY;
        if (config->logs_ttl_days > 0)
                clock_format_day(days_before(now, config->logs_ttl_days), day);
        const struct index_scope scope = { .received_before = days_before(now, config->crashes_ttl_days),
                                           .day_before = day };
        struct index_survey found = { 0 };
        int r = operation_open_to_read(o, &index);
        if (r == 0)
                r = index_survey(index, &scope, &found);
        if (r == 0)
                r = index_survey_orphans(index, &found);
        if (r < 0)
                return r;
        operation_put_survey(&o->out, &found);
        return put_caps(&o->out, index, config);
}

static int run_cycle(struct operation *o, bool confirm_clock, struct retention_cycle *ret)
{
        const struct operations_config *config = &o->operations->config;
        struct retention here = { .config = config->config,
                                  .metrics = config->metrics,
                                  .confirm_clock = confirm_clock };
        struct janitor *janitor = store_janitor(config->store);
        if (janitor)
                return janitor_run_cycle(janitor, confirm_clock, ret);
        int r = operation_begin_deletion(o, &here.deletion);
        if (r == 0)
                retention_run(&here, ret);
        return r;
}

int operation_gc(struct operation *o)
{
        struct retention_cycle cycle = { 0 };
        bool dry_run = false, confirm_clock = false;
        int r = operation_flag(o, "dry_run", &dry_run);
        if (r < 0)
                return r;
        if (dry_run)
                return survey(o);
        r = operation_flag(o, "confirm_clock", &confirm_clock);
        if (r < 0)
                return r;
        if (confirm_clock)
                log_info("an operator confirms the clock");
        r = run_cycle(o, confirm_clock, &cycle);
        if (r < 0)
                return r;
        operation_put_tally(&o->out, &cycle.deleted);
        json_write_u64(&o->out, "log_files_compressed", cycle.log_files_compressed);
        json_write_u64(&o->out, "duration_ms", cycle.duration_ns / 1000000);
        json_write_string(&o->out, "clock_doubt", *cycle.clock_doubt ? cycle.clock_doubt : NULL);
        return cycle.result;
}
