/* generate-crashes: test data, as the daemon would have stored it. It takes the data directory's lock, as a daemon
 * does, and leaves the mark of an orderly stop, so that the next daemon does not go looking for files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "fill.h"
#include "storage/store/clean_stop.h"
#include "util/files/durable.h"
#include "util/log.h"

static int complain(const char *doing, int error)
{
        fprintf(stderr, "generate-crashes: %s: %s\n", doing, strerror(-error));
        return 1;
}

/* Opens (or makes) the index, fills it, closes it. *ret_created: there was none before. */
static int run(const struct options *o, int datadir_fd, bool *ret_created, struct fill_counts *ret)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct error err = { "" };

        int r = index_open(o->data_dir, &index, ret_created, &err);
        if (r != 0) {
                fprintf(stderr, "generate-crashes: %s\n", err.text);
                return -EINVAL;
        }
        r = fill(o, datadir_fd, index, ret);
        if (r == 0 && *ret_created)
                r = index_set_adopted(index);
        if (r < 0)
                complain(r == -EINVAL ? "a crash does not go in; are those of this seed there already?" : "fill", r);
        return r;
}

int main(int argc, char **argv)
{
        struct options o;
        struct fill_counts counts;
        bool was_clean = false, created = false;

        int r = options_read(&o, argc, argv);
        if (r != 0)
                return r < 0 ? 2 : 0;
        r = durable_mkdirs(AT_FDCWD, o.data_dir);
        if (r < 0)
                return complain(o.data_dir, r);
        _cleanup_(closep) int datadir_fd = open(o.data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (datadir_fd < 0)
                return complain(o.data_dir, -errno);
        _cleanup_(closep) int lock_fd = openat(datadir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (lock_fd < 0 || flock(lock_fd, LOCK_EX | LOCK_NB) < 0)
                return complain("the data directory's lock (is a daemon running?)", -errno);
        r = clean_stop_begin(datadir_fd, lock_fd, &was_clean);
        if (r == 0 && run(&o, datadir_fd, &created, &counts) < 0)
                return 1;
        if (r == 0 && (was_clean || created))
                r = clean_stop_end(datadir_fd, lock_fd);
        if (r < 0)
                return complain("the data directory's lock", r);
        printf("%llu crashes with %llu attachments, %llu log files with %llu lines%s\n",
               (unsigned long long)counts.crashes, (unsigned long long)counts.attachments,
               (unsigned long long)counts.log_files, (unsigned long long)counts.log_lines,
               o.files ? "" : "; rows only, no files");
        return 0;
}
