/* detritusctl doctor: the disk under the data directory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "detritusctl/doctor/doctor.h"
#include "detritusctl/screen/size.h"
#include "util/clock.h"
#include "util/files/durable.h"

#define SYNCS 24
#define SYNC_BYTES 4096
/* No disk flushes faster than this; an NVMe drive with a protected cache comes close. */
#define BEYOND_BELIEF_NS UINT64_C(20000)
#define SLOW_NS UINT64_C(30000000)
#define TOO_SLOW_NS UINT64_C(500000000)
#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)
#define FUSE_MAGIC 0x65735546
#define ZFS_MAGIC 0x2FC12FC1
#define CIFS_MAGIC 0xFF534D42

static const struct file_system {
        uint32_t magic;
        enum doctor_state state;
        const char *name, *advice;
} file_systems[] = {
        { EXT4_SUPER_MAGIC, DOCTOR_OK, "ext4", NULL },
        { XFS_SUPER_MAGIC, DOCTOR_OK, "xfs", NULL },
        { BTRFS_SUPER_MAGIC, DOCTOR_OK, "btrfs", NULL },
        { F2FS_SUPER_MAGIC, DOCTOR_OK, "f2fs", NULL },
        { ZFS_MAGIC, DOCTOR_OK, "zfs", NULL },
        { TMPFS_MAGIC, DOCTOR_BAD, "tmpfs", "It is in memory and lost at a restart. Use a disk." },
        { RAMFS_MAGIC, DOCTOR_BAD, "ramfs", "It is in memory and lost at a restart. Use a disk." },
        { OVERLAYFS_SUPER_MAGIC, DOCTOR_WARN, "overlay",
          "A container's own layer is deleted with the container. Mount a volume." },
        { NFS_SUPER_MAGIC, DOCTOR_BAD, "nfs", "SQLite's WAL and locks need a local disk." },
        { CIFS_MAGIC, DOCTOR_BAD, "cifs", "SQLite's WAL and locks need a local disk." },
        { V9FS_MAGIC, DOCTOR_BAD, "9p", "SQLite's WAL and locks need a local disk." },
        { FUSE_MAGIC, DOCTOR_WARN, "fuse",
          "Whether a sync reaches the disk depends on the program that serves this file system." },
};

static bool look_at_file_system(struct doctor *d)
{
        struct statfs st;
        if (fstatfs(d->data_dir_fd, &st) < 0)
                return false;
        for (size_t i = 0; i < ARRAY_LEN(file_systems); i++) {
                const struct file_system *f = &file_systems[i];
                if ((uint32_t)st.f_type != f->magic)
                        continue;
                doctor_find(d, f->state, "file system", f->advice, "%s", f->name);
                return f->magic == TMPFS_MAGIC || f->magic == RAMFS_MAGIC;
        }
        doctor_find(d, DOCTOR_WARN, "file system", "Prefer ext4, xfs or btrfs, which are tested.", "of type 0x%lx",
                    (unsigned long)st.f_type);
        return false;
}

/* As in storage/space/space.h. */
static uint64_t reserve_of(uint64_t configured, uint64_t disk_bytes, unsigned share, uint64_t most)
{
        uint64_t part = disk_bytes / share;
        return configured ? configured : part < most ? part : most;
}

static void look_at_space(struct doctor *d)
{
        struct statvfs st;
        char text[32];
        if (fstatvfs(d->data_dir_fd, &st) < 0)
                return;
        const struct config_limits *l = &d->config->limits;
        uint64_t all = st.f_blocks * st.f_frsize, avail = st.f_bavail * st.f_frsize;
        uint64_t uploads = reserve_of(l->disk_reserve_uploads_bytes, all, 20, GIB);
        uint64_t logs = reserve_of(l->disk_reserve_logs_bytes, all, 50, 256 * MIB);
        size_text(avail, text);
        if (avail < logs)
                doctor_find(d, DOCTOR_BAD, "space",
                            "Free some space: below this reserve, logs and crashes are refused.",
                            "%s free, less than the reserve for logs", text);
        else if (avail < uploads)
                doctor_find(d, DOCTOR_BAD, "space", "Free some space: below this reserve, crashes are refused.",
                            "%s free, less than the reserve for crashes", text);
        else if (avail < 2 * uploads)
                doctor_find(d, DOCTOR_WARN, "space", "Shorten retention, set logs.max_bytes, or grow the disk.",
                            "%s free, less than twice the reserve for crashes", text);
        else
                doctor_find(d, DOCTOR_OK, "space", NULL, "%s free", text);
        if (st.f_files > 0 && st.f_favail < st.f_files / 50)
                doctor_find(d, DOCTOR_WARN, "inodes",
                            "Each crash takes several inodes; create the file system with more.", "%llu of %llu left",
                            (unsigned long long)st.f_favail, (unsigned long long)st.f_files);
}

/* ---- syncs ---- */

static int by_size(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
        return (x > y) - (x < y);
}

enum doctor_sync doctor_judge_syncs(uint64_t *latencies_ns, size_t n, uint64_t *ret_median_ns, uint64_t *ret_max_ns)
{
        qsort(latencies_ns, n, sizeof(*latencies_ns), by_size);
        *ret_median_ns = latencies_ns[n / 2];
        *ret_max_ns = latencies_ns[n - 1];
        if (*ret_median_ns < BEYOND_BELIEF_NS)
                return DOCTOR_SYNC_FAST_BEYOND_BELIEF;
        if (*ret_median_ns >= TOO_SLOW_NS)
                return DOCTOR_SYNC_TOO_SLOW;
        return *ret_median_ns >= SLOW_NS ? DOCTOR_SYNC_SLOW : DOCTOR_SYNC_FAST;
}

/* Appends to a file without a name and syncs each time, as the journal does. 0 or -errno. */
static int time_syncs(int data_dir_fd, uint64_t latencies_ns[SYNCS])
{
        static const char block[SYNC_BYTES];
        _cleanup_(closep) int fd = openat(data_dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        for (size_t i = 0; i < SYNCS; i++) {
                int r = durable_write_all(fd, block, sizeof(block));
                uint64_t start = clock_monotonic_ns();
                if (r == 0)
                        r = durable_sync(fd);
                if (r < 0)
                        return r;
                latencies_ns[i] = clock_monotonic_ns() - start;
        }
        return 0;
}

static void look_at_syncs(struct doctor *d, bool in_memory)
{
        uint64_t latencies_ns[SYNCS], median, max;
        int r = time_syncs(d->data_dir_fd, latencies_ns);
        if (r < 0) {
                doctor_find(d, DOCTOR_WARN, "syncs", "Run this as the daemon's user or as root.",
                            "could not be timed: %s", strerror(-r));
                return;
        }
        enum doctor_sync judged = doctor_judge_syncs(latencies_ns, SYNCS, &median, &max);
        double ms = (double)median / 1e6, max_ms = (double)max / 1e6;
        if (judged == DOCTOR_SYNC_TOO_SLOW)
                doctor_find(d, DOCTOR_BAD, "syncs", "Clients will time out. Is the disk failing, or overloaded?",
                            "take %.1f ms (median of %d; longest %.1f)", ms, SYNCS, max_ms);
        else if (judged == DOCTOR_SYNC_SLOW)
                doctor_find(d, DOCTOR_WARN, "syncs",
                            "Every answer waits for a sync. A disk with a protected cache is faster.",
                            "take %.1f ms (median of %d; longest %.1f)", ms, SYNCS, max_ms);
        else
                doctor_find(d, DOCTOR_OK, "syncs", NULL, "take %.3f ms (median of %d; longest %.3f)", ms, SYNCS,
                            max_ms);
        if (judged == DOCTOR_SYNC_FAST_BEYOND_BELIEF && !in_memory)
                doctor_find(
                        d, DOCTOR_WARN, "sync honesty",
                        "Check for a disk cache without battery, eatmydata, or a hypervisor in writeback mode.",
                        "syncs return faster than disks can flush: a power cut may lose data that was acknowledged");
}

void doctor_disk(struct doctor *d)
{
        if (d->data_dir_fd < 0)
                return;
        bool in_memory = look_at_file_system(d);
        look_at_space(d);
        look_at_syncs(d, in_memory);
}
