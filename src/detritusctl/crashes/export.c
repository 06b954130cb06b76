/* detritusctl crashes export: crashes as files in a directory, or as a tar archive on standard output.
 *
 * The files of a crash are written to a new directory of another name, which gets its name when all are complete.
 * Others may be allowed to write to the directory that the crash goes to. So everything below it is made here,
 * through descriptors, and no symbolic link is followed: one in the place of crash-ID makes the rename fail.
 *
 * Wrong names, and places that are taken, are found before anything is written. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "detritusctl/access/open.h"
#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/crashes/crash_ids.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "protocol/json/json_write.h"
#include "storage/crashes/crash_export.h"
#include "util/files/durable.h"
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/files/regular.h"
#include "util/files/tar.h"

#define DECODED_DEFAULT (UINT64_C(1) << 30)
#define NAME_SIZE (CRASH_EXPORT_NAME_MAX + 8)

struct export_to {
        int dirfd;               /* a directory; -1: an archive */
        int crash_fd, nested_fd; /* the directory of the crash, under its other name, and the one below it */
        int fd;                  /* the file being written */
        char crash[NAME_SIZE], unfinished[PATH_MAX], nested[NAME_SIZE];
        const char *output; /* dirfd's path */
        uint64_t len;       /* of the file being written to an archive */
        uint64_t files, bytes;
};

/* ---- an archive ---- */

static int put(const void *data, size_t len, struct error *err)
{
        if (len == 0 || fwrite(data, 1, len, stdout) == len)
                return 0;
        error_set(err, "standard output: %s", strerror(errno));
        return -EIO;
}

static int archive_begin(void *userdata, const char *name, uint64_t len, struct moment mtime, struct error *err)
{
        struct export_to *to = userdata;
        uint8_t header[TAR_BLOCK_BYTES];
        assert(to->dirfd < 0);
        int r = tar_header(name, len, mtime.sec, header);
        if (r < 0) {
                error_set(err, "the name is too long for an archive: %s", name);
                return r;
        }
        to->len = len;
        to->files++;
        return put(header, sizeof(header), err);
}

static int archive_data(void *userdata, const void *data, size_t len, struct error *err)
{
        struct export_to *to = userdata;
        to->bytes += len;
        return put(data, len, err);
}

static int archive_end(void *userdata, struct error *err)
{
        static const uint8_t zeros[TAR_BLOCK_BYTES];
        struct export_to *to = userdata;
        return put(zeros, tar_padding(to->len), err);
}

static int archive_finish(struct error *err)
{
        static const uint8_t zeros[2 * TAR_BLOCK_BYTES];
        return put(zeros, sizeof(zeros), err);
}

/* ---- a directory ---- */

static int fail_at(struct error *err, const struct export_to *to, const char *name, int r)
{
        error_set(err, "%s/%s: %s", to->output, name, strerror(-r));
        return r;
}

/* Makes a directory that nobody else has made, and opens it. */
static int make_directory(int dirfd, const char *name, int *ret_fd)
{
        assert(*ret_fd < 0);
        if (mkdirat(dirfd, name, 0750) < 0)
                return -errno;
        *ret_fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return *ret_fd < 0 ? -errno : 0;
}

static int say_taken(const struct export_to *to, const char *crash, const char *what)
{
        return say_failed("%s/%s already exists: it is %s. Move it away, or export into another directory", to->output,
                          crash, what);
}

static int see_entry(_unused_ void *userdata, _unused_ const char *path, _unused_ const char *name)
{
        return 1;
}

/* 0: a directory without entries. */
static int has_entries(int dirfd, const char *name)
{
        const struct entries_walk walk = { .dirfd = dirfd, .entry = see_entry, .hidden = see_entry };
        return entries_walk(&walk, name);
}

/* Says so before all the work; the rename would find it, too. Only an empty directory may be there. */
static int check_place(const struct export_to *to, int64_t id)
{
        char crash[NAME_SIZE];
        struct stat st;
        snprintf(crash, sizeof(crash), "crash-%lld", (long long)id);
        int r = fstatat(to->dirfd, crash, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        if (r == -ENOENT)
                return CTL_OK;
        if (r == 0 && !S_ISDIR(st.st_mode))
                return say_taken(to, crash, regular_kind(st.st_mode));
        if (r == 0)
                r = has_entries(to->dirfd, crash);
        if (r > 0)
                return say_taken(to, crash, "not empty");
        return r == 0 ? CTL_OK : say_failed("%s/%s: %s", to->output, crash, strerror(-r));
}

static int begin_crash(struct export_to *to, const char *name, size_t len, struct error *err)
{
        snprintf(to->crash, sizeof(to->crash), "%.*s", (int)len, name);
        int r = path_unfinished(to->crash, to->unfinished);
        if (r == 0)
                r = make_directory(to->dirfd, to->unfinished, &to->crash_fd);
        return r < 0 ? fail_at(err, to, to->unfinished, r) : 0;
}

/* Names are crash-ID/FILE and crash-ID/DIRECTORY/FILE. */
static int directory_begin(void *userdata, const char *name, uint64_t len _unused_, struct moment mtime _unused_,
                           struct error *err)
{
        struct export_to *to = userdata;
        const char *file = strchr(name, '/') + 1, *slash = strchr(file, '/');
        assert(to->dirfd >= 0 && to->fd < 0);
        int r = to->crash_fd < 0 ? begin_crash(to, name, (size_t)(file - 1 - name), err) : 0;
        if (r < 0)
                return r;
        if (slash && to->nested_fd < 0) {
                snprintf(to->nested, sizeof(to->nested), "%.*s", (int)(slash - file), file);
                r = make_directory(to->crash_fd, to->nested, &to->nested_fd);
        }
        if (r < 0)
                return fail_at(err, to, name, r);
        to->fd = openat(slash ? to->nested_fd : to->crash_fd, slash ? slash + 1 : file,
                        O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (to->fd < 0)
                return fail_at(err, to, name, -errno);
        to->files++;
        return 0;
}

static int directory_data(void *userdata, const void *data, size_t len, struct error *err)
{
        struct export_to *to = userdata;
        assert(to->fd >= 0);
        int r = durable_write_all(to->fd, data, len);
        to->bytes += len;
        return r < 0 ? fail_at(err, to, to->crash, r) : 0;
}

static int directory_end(void *userdata, struct error *err)
{
        struct export_to *to = userdata;
        assert(to->fd >= 0);
        int r = close(TAKE_FD(to->fd)) < 0 ? -errno : 0;
        return r < 0 ? fail_at(err, to, to->crash, r) : 0;
}

/* rename(2) follows no link, and replaces an empty directory, but nothing else. */
static int finish_crash(struct export_to *to)
{
        if (to->crash_fd < 0 || renameat(to->dirfd, to->unfinished, to->dirfd, to->crash) == 0)
                return 0;
        int r = -errno;
        if (r == -ENOTEMPTY || r == -EEXIST)
                say_taken(to, to->crash, "not empty");
        else
                say_failed("cannot write %s/%s: %s", to->output, to->crash, strerror(-r));
        return r;
}

static int remove_file(void *userdata, const char *path, _unused_ const char *name)
{
        return path_remove(*(const int *)userdata, path);
}

/* Removes what is not finished. It was made here, and only its files are in it. */
static void undo_crash(struct export_to *to)
{
        if (to->nested_fd >= 0)
                entries_each(to->nested_fd, ".", remove_file, &to->nested_fd);
        if (to->crash_fd < 0)
                return;
        unlinkat(to->crash_fd, to->nested, AT_REMOVEDIR);
        entries_each(to->crash_fd, ".", remove_file, &to->crash_fd);
        unlinkat(to->dirfd, to->unfinished, AT_REMOVEDIR);
}

static int end_crash(struct export_to *to, int r)
{
        if (r == 0)
                r = finish_crash(to);
        if (r < 0)
                undo_crash(to);
        for (size_t i = 0; i < 3; i++) {
                int *fd = (int *const[]){ &to->fd, &to->nested_fd, &to->crash_fd }[i];
                closep(fd);
                *fd = -1;
        }
        return r;
}

static int open_directory(const char *path, int *ret_fd)
{
        if (mkdir(path, 0750) < 0 && errno != EEXIST)
                return say_failed("cannot create the directory %s: %s", path, strerror(errno));
        *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd >= 0 ? CTL_OK : say_failed("cannot open the directory %s: %s", path, strerror(errno));
}

/* ---- the command ---- */

static const struct crash_export_sink archive_sink = { archive_begin, archive_data, archive_end, NULL };
static const struct crash_export_sink directory_sink = { directory_begin, directory_data, directory_end, NULL };

/* All names are right, and all places are free, before the first crash is written. */
static int find_all(struct index *index, const struct ctl *ctl, const struct export_to *to, int64_t *ret_ids)
{
        int status = CTL_OK;
        for (size_t i = 0; status == CTL_OK && i < ctl->n_arguments; i++) {
                status = crash_ids_find(index, ctl->arguments[i], &ret_ids[i]);
                if (status == CTL_OK && to->dirfd >= 0)
                        status = check_place(to, ret_ids[i]);
        }
        return status;
}

static int export_one(struct index *index, int datadir_fd, int64_t id, const struct crash_export_options *options,
                      struct export_to *to)
{
        struct crash_export_sink sink = to->dirfd < 0 ? archive_sink : directory_sink;
        struct error err;
        sink.userdata = to;
        int r = crash_export(index, datadir_fd, id, options, &sink, &err);
        if (r < 0)
                say_failed("crash %lld: %s", (long long)id, err.text[0] ? err.text : strerror(-r));
        return end_crash(to, r) == 0 ? CTL_OK : CTL_FAILED;
}

static int export_all(const struct ctl *ctl, const struct crash_export_options *options, struct export_to *to)
{
        _cleanup_(index_freep) struct index *index = NULL;
        _cleanup_(closep) int datadir_fd = -1;
        _cleanup_(freep) int64_t *ids = calloc(ctl->n_arguments, sizeof(*ids));
        struct error err;
        if (!ids)
                return say_failed("out of memory");
        int status = open_index(ctl, &index);
        if (status == CTL_OK)
                status = open_data_dir(ctl, &datadir_fd);
        if (status == CTL_OK)
                status = find_all(index, ctl, to, ids);
        for (size_t i = 0; status == CTL_OK && i < ctl->n_arguments; i++)
                status = export_one(index, datadir_fd, ids[i], options, to);
        if (status == CTL_OK && to->dirfd < 0 && archive_finish(&err) < 0)
                status = say_failed("%s", err.text);
        return status;
}

static int print_counts(const struct ctl *ctl, const struct export_to *to)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        char size[32];
        if (!ctl->json) {
                size_text(to->bytes, size);
                buf_printf(&line, "%zu crash%s, %" PRIu64 " files, %s\n", ctl->n_arguments,
                           ctl->n_arguments == 1 ? "" : "es", to->files, size);
                return screen_put(&line);
        }
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_u64(&w, "crashes", ctl->n_arguments);
        json_write_u64(&w, "files", to->files);
        json_write_u64(&w, "bytes", to->bytes);
        json_write_end(&w);
        return screen_json_line(&line);
}

static int export(const struct ctl *ctl)
{
        struct crash_export_options options = { .decode = ctl_flag(ctl, "decode"),
                                                .max_decoded_bytes = DECODED_DEFAULT };
        const char *output = ctl_value(ctl, "output"), *max = ctl_value(ctl, "max-decoded");
        struct export_to to = { .dirfd = -1, .crash_fd = -1, .nested_fd = -1, .fd = -1, .output = output };
        bool archive = strcmp(output, "-") == 0;
        int status = max ? arg_bytes("--max-decoded", max, &options.max_decoded_bytes) : CTL_OK;
        if (status != CTL_OK)
                return status;
        if (archive && screen_is_terminal())
                return say_usage("an archive cannot be shown on a terminal; use -o DIR, or pipe it into tar -x");
        if (archive && ctl->json)
                return say_usage("--json and -o - cannot be used together: both write to standard output");
        _cleanup_(closep) int dirfd = -1;
        if (!archive)
                status = open_directory(output, &dirfd);
        to.dirfd = dirfd;
        if (status == CTL_OK)
                status = export_all(ctl, &options, &to);
        if (status != CTL_OK || archive)
                return status;
        int r = print_counts(ctl, &to);
        return r == 0 ? CTL_OK : say_error("print the counts", r);
}

const struct command crashes_export_command = {
        .name = "export",
        .summary = "write crashes as files, or as a tar archive",
        .arguments = "ID|HASH...",
        .min_arguments = 1,
        .max_arguments = COMMAND_MANY,
        .description =
                "Writes a directory crash-ID for each crash: crash.json (what `crashes show --json` prints), "
                "metadata.json (what the client sent), the dump (dump.dmp for a Minidump, else dump.bin), and "
                "attachments/NN-NAME. Names consist of letters, digits, dots, dashes and underscores, whatever names "
                "the client used. The directory appears when it is complete. One that exists is not "
                "replaced, and a symbolic link is not followed.\n"
                "\n"
                "Files that the client sent compressed stay compressed and get the suffix .zst or .gz; --decode "
                "decompresses them. A file that decompresses to more than --max-decoded, or is damaged, is refused.",
        .options =
                (const struct command_option[]){
                        { "output", "DIR|-", "where to write; -: a tar archive on standard output", .letter = 'o',
                          .required = true, .complete = COMPLETE_DIRECTORY },
                        { "decode", .help = "decompress zstd and gzip" },
                        { "max-decoded", "BYTES", "the largest size of a decompressed file [1GiB]" },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl crashes export 17 --decode -o /tmp/crash", "a dump for the debugger" },
                        { "detritusctl crashes export 17 18 19 -o - | ssh dev tar -x", "to another machine" },
                        { NULL },
                },
        .run = export,
};
