#include "storage/writer/wal_watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_INTERVAL_NS (1 * UINT64_C(1000000000))

/* The name of a program: "sqlite3". */
static void read_name(pid_t pid, char ret[32])
{
        char path[32];
        snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, ret, 31);
        if (fd >= 0)
                close(fd);
        ret[n > 0 ? n : 0] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
        if (!*ret)
                snprintf(ret, 32, "a process");
}

static void warn(struct wal_watch *w, pid_t pid, struct troubles *troubles)
{
        char name[32];
        read_name(pid, name);
        troubles_set(
                troubles, TROUBLE_INDEX_READER, "detritus.db-wal",
                "%s (pid %d) has a transaction open on the database, so the WAL cannot be cut and has grown beyond "
                "%d MiB; end that transaction, or the process",
                name, (int)pid, (int)(WAL_WATCH_BYTES >> 20));
        w->warned = true;
}

int wal_watch_look(struct wal_watch *w, struct index *index, struct metrics *metrics, struct troubles *troubles)
{
        uint64_t bytes = index_wal_bytes(index), now_ns = clock_monotonic_ns();
        metrics_gauge_set(metrics, METRICS_INDEX_WAL_BYTES, (int64_t)bytes);
        if (bytes < WAL_WATCH_BYTES) {
                if (w->warned)
                        troubles_clear(troubles, TROUBLE_INDEX_READER);
                w->warned = false;
                return 0;
        }
        if (!index_wal_is_held(index) || now_ns - w->looked_ns < LOOK_INTERVAL_NS)
                return 0;
        w->looked_ns = now_ns;
        pid_t pid = index_wal_find_reader(index);
        if (pid == 0)
                return index_cut_wal(index); /* it has just gone */
        warn(w, pid, troubles);
        return 0;
}
