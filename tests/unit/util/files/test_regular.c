/* Only regular files are opened, and nothing in their place blocks, or is touched. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/files/regular.h"

static char dir[64];
static int dir_fd;

static void make_socket(const char *name)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, name);
        assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static int setup(_unused_ void **state)
{
        snprintf(dir, sizeof(dir), "/tmp/detritus-test-XXXXXX");
        if (!mkdtemp(dir))
                return -1;
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(closep) int fd = openat(dir_fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(write(fd, "data", 4), 4);
        mkdirat(dir_fd, "directory", 0700);
        mkfifoat(dir_fd, "fifo", 0600);
        make_socket("socket");
        return symlinkat("nowhere", dir_fd, "dangling") + symlinkat("file", dir_fd, "link");
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *ftw)
{
        return remove(path);
}

static int teardown(_unused_ void **state)
{
        close(dir_fd);
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        return 0;
}

static void test_a_regular_file(_unused_ void **state)
{
        _cleanup_(closep) int fd = -1;
        struct stat st;
        char text[8];
        assert_int_equal(regular_open(dir_fd, "file", &fd, &st), 0);
        assert_int_equal(st.st_size, 4);
        assert_int_equal(read(fd, text, sizeof(text)), 4);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        closep(&fd);
        assert_int_equal(regular_open(dir_fd, "file", &fd, NULL), 0);
}

static void test_anything_else(_unused_ void **state)
{
        static const struct {
                const char *name, *kind;
                int error;
        } odd[] = {
                { "directory", "a directory", -EINVAL },   { "fifo", "a FIFO", -EINVAL },
                { "socket", "a socket", -EINVAL },         { "link", "a symbolic link", -ELOOP },
                { "dangling", "a symbolic link", -ELOOP }, { "/dev/null", "a device", -EINVAL },
                { "file", "a regular file", 0 },           { "absent", NULL, -ENOENT },
                { "file/below", NULL, -ENOTDIR },
        };
        alarm(30); /* rather than hang */
        for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
                _cleanup_(closep) int fd = -1;
                struct stat st;
                int r = regular_open(dir_fd, odd[i].name, &fd, &st);
                if (r != odd[i].error || (fd >= 0) != (r == 0))
                        fail_msg("%s: %d, not %d", odd[i].name, r, odd[i].error);
                if (odd[i].kind) {
                        assert_int_equal(fstatat(dir_fd, odd[i].name, &st, AT_SYMLINK_NOFOLLOW), 0);
                        assert_string_equal(regular_kind(st.st_mode), odd[i].kind);
                }
        }
        alarm(0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_a_regular_file),
                TEST(test_anything_else),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
