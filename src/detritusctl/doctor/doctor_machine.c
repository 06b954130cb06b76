/* detritusctl doctor: the clock, and the resources that the daemon may use. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>

#include "config/descriptors.h"
#include "detritusctl/doctor/doctor.h"
#include "detritusctl/screen/size.h"
#include "util/clock.h"

#define DAY_SECS 86400
#define SANE_SINCE 1735689600 /* 2025-01-01: before this was written */

/* When the daemon last wrote a file. A clock before that was set back, and retention goes by the clock. */
static int64_t newest_write(const struct doctor *d)
{
        static const char *const names[] = { "detritus.db", "detritus.db-wal", "lock", "journal" };
        int64_t newest = 0;
        struct stat st;
        for (size_t i = 0; d->data_dir_fd >= 0 && i < ARRAY_LEN(names); i++) {
                if (fstatat(d->data_dir_fd, names[i], &st, 0) == 0 && st.st_mtime > newest)
                        newest = st.st_mtime;
        }
        return newest;
}

static void look_at_clock(struct doctor *d)
{
        struct timex t = { 0 };
        char text[CLOCK_RFC3339_SIZE];
        struct moment now = clock_now();
        clock_format_fixed(now, 3, text);
        int64_t written = newest_write(d);
        if (now.sec < SANE_SINCE)
                doctor_find(d, DOCTOR_BAD, "clock", "Set it: the days of logs and retention go by it.", "says %s",
                            text);
        else if (written > now.sec + 60)
                doctor_find(d, DOCTOR_BAD, "clock", "Correct it before the daemon starts: logs are stored by day.",
                            "says %s, but files were written %" PRId64 " s after that", text, written - now.sec);
        else
                doctor_find(d, DOCTOR_OK, "clock", NULL, "says %s", text);
        if (adjtimex(&t) < 0)
                return;
        if (t.status & STA_UNSYNC)
                doctor_find(d, DOCTOR_WARN, "clock sync", "Run systemd-timesyncd or chrony, here or on the host.",
                            "the kernel does not know that the clock is synchronised");
        else
                doctor_find(d, DOCTOR_OK, "clock sync", NULL, "synchronised, error at most %.1f ms",
                            (double)t.maxerror / 1000);
}

/* The hard limit, to which the daemon raises its soft one; that of the daemon that runs, else our own. */
static bool descriptor_limit(const struct doctor *d, rlim_t *ret)
{
        struct rlimit limit;
        if (prlimit(d->daemon, RLIMIT_NOFILE, NULL, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return false;
        *ret = limit.rlim_max;
        return true;
}

static void look_at_descriptors(struct doctor *d)
{
        const struct config_limits *l = &d->config->limits;
        struct descriptors share;
        struct error err;
        rlim_t limit;
        if (!descriptor_limit(d, &limit))
                return;
        if (descriptors_share(l, limit, &share, &err) < 0)
                doctor_find(d, DOCTOR_BAD, "descriptors", "Raise LimitNOFILE: the daemon does not start.", "%s",
                            err.text);
        else if (share.connections < l->connections || share.uploads < (uint64_t)l->uploads * (2 + l->multipart_parts))
                doctor_find(d, DOCTOR_WARN, "descriptors",
                            "Raise LimitNOFILE, or lower limits.connections and other limits.",
                            "at most %llu: enough for %u connections (limits.connections: %u), %u log files, and %u "
                            "files of uploads",
                            (unsigned long long)limit, share.connections, l->connections, share.log_files,
                            share.uploads);
        else
                doctor_find(d, DOCTOR_OK, "descriptors", NULL,
                            "at most %llu: %u connections, %u log files, %u files of uploads",
                            (unsigned long long)limit, share.connections, share.log_files, share.uploads);
}

static void look_at_cores(struct doctor *d)
{
        cpu_set_t set;
        int cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
        unsigned threads = d->config->network_threads;
        if (threads > (unsigned)cores)
                doctor_find(d, DOCTOR_WARN, "cores", "Set network_threads to 0: one for each core.",
                            "%d, but network_threads is %u", cores, threads);
        else
                doctor_find(d, DOCTOR_OK, "cores", NULL, "%d", cores);
}

static void look_at_memory(struct doctor *d)
{
        const struct config_limits *l = &d->config->limits;
        uint64_t wanted = l->inflight_body_bytes + l->log_queue_bytes + l->otlp_arena_bytes + l->otlp_rendered_bytes;
        uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        char have[32], may[32];
        size_text(all, have);
        size_text(wanted, may);
        if (wanted > all / 2)
                doctor_find(d, DOCTOR_WARN, "memory", "Lower limits.inflight_body_bytes and limits.log_queue_bytes.",
                            "%s; requests alone may use %s", have, may);
        else
                doctor_find(d, DOCTOR_OK, "memory", NULL, "%s; requests may use %s", have, may);
}

void doctor_machine(struct doctor *d)
{
        look_at_clock(d);
        look_at_cores(d);
        look_at_memory(d);
        look_at_descriptors(d);
}
