/* What a start knows of the tokens that were good before. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/token_seen.h"

static struct token entries[] = { { .id = "a", .secret = "$a" }, { .id = "b", .secret = "$b" } };
static struct tokens set = { .n = 2, .list = entries };

struct start {
        struct token_seen *seen;
        struct token_known *known;
};

static struct start start(int dirfd, const struct tokens *tokens)
{
        struct start s = { 0 };
        assert_int_equal(token_known_new(tokens, NULL, &s.known), 0);
        assert_int_equal(token_seen_open(dirfd, &s.seen), 0);
        assert_int_equal(token_seen_teach(s.seen, tokens, s.known), 0);
        return s;
}

static void stop(struct start *s)
{
        token_seen_free(s->seen);
        token_known_free(s->known);
}

static void add(struct start *s, const struct token *t, const char *presented)
{
        uint8_t mac[TOKEN_MAC_BYTES];
        assert_int_equal(token_mac_make(token_seen_mac(s->seen), presented, strlen(presented), mac), 0);
        token_seen_add(s->seen, t, mac);
}

static const char *owner(const struct start *s, const char *presented)
{
        uint8_t mac[TOKEN_MAC_BYTES];
        assert_int_equal(token_mac_make(token_seen_mac(s->seen), presented, strlen(presented), mac), 0);
        const struct token *t = token_known_find(s->known, mac);
        return t ? t->id : "-";
}

static int enter_directory(void **state)
{
        static char path[64];
        snprintf(path, sizeof(path), "/tmp/test_token_seen.XXXXXX");
        *state = mkdtemp(path);
        return *state ? 0 : -1;
}

static int leave_directory(void **state)
{
        char command[128];
        snprintf(command, sizeof(command), "rm -r %s", (const char *)*state);
        return system(command);
}

static int directory(void **state)
{
        int fd = open(*state, O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void a_start_knows_them(void **state)
{
        int fd = directory(state);
        struct stat st;
        struct start s = start(fd, &set);
        assert_string_equal(owner(&s, "one"), "-");
        add(&s, &entries[0], "one");
        add(&s, &entries[1], "two");
        stop(&s);
        assert_int_equal(fstatat(fd, TOKEN_SEEN_FILE, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0600);
        for (int i = 0; i < 2; i++) { /* the start itself writes the file again */
                s = start(fd, &set);
                assert_string_equal(owner(&s, "one"), "a");
                assert_string_equal(owner(&s, "two"), "b");
                assert_string_equal(owner(&s, "three"), "-");
                stop(&s);
        }
        close(fd);
}

static void changed_entries_are_unknown(void **state)
{
        int fd = directory(state);
        struct token other[] = { { .id = "a", .secret = "$c" },
                                 { .id = "c", .secret = "$b" },
                                 { .id = "b", .secret = "$b" } };
        struct tokens changed = { .n = 2, .list = other }, again = { .n = 3, .list = other };
        struct start s = start(fd, &set);
        add(&s, &entries[0], "one");
        add(&s, &entries[1], "two");
        stop(&s);
        s = start(fd, &changed);
        assert_string_equal(owner(&s, "one"), "-");
        assert_string_equal(owner(&s, "two"), "-");
        stop(&s);
        s = start(fd, &again); /* and were forgotten by that start */
        assert_string_equal(owner(&s, "two"), "-");
        stop(&s);
        close(fd);
}

/* No damage makes a good token look bad: an entry is unknown, or its token is the right one. */
static void damage_forgets(void **state)
{
        int fd = directory(state);
        struct start s = start(fd, &set);
        add(&s, &entries[0], "one");
        stop(&s);
        char text[4096];
        int file = openat(fd, TOKEN_SEEN_FILE, O_RDWR | O_CLOEXEC);
        ssize_t len = read(file, text, sizeof(text));
        assert_true(len > 300);
        close(file);
        for (ssize_t at = 0; at < 2 * len; at++) { /* a byte changed; then cut short */
                char damaged[4096];
                memcpy(damaged, text, sizeof(text));
                damaged[at % len] = damaged[at % len] == '0' ? '1' : '0';
                file = openat(fd, TOKEN_SEEN_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                size_t n = (size_t)(at < len ? len : at - len);
                assert_int_equal(write(file, damaged, n), n);
                close(file);
                s = start(fd, &set);
                struct token_tried none = { 0 };
                assert_true(token_known_is_open(s.known, &entries[0], &none));
                add(&s, &entries[0], "one");
                stop(&s);
                s = start(fd, &set);
                assert_string_equal(owner(&s, "one"), "a");
                stop(&s);
        }
        close(fd);
}

static void not_ours_alone(void **state)
{
        int fd = directory(state);
        struct start s = start(fd, &set);
        add(&s, &entries[0], "one");
        stop(&s);
        assert_int_equal(fchmodat(fd, TOKEN_SEEN_FILE, 0640, 0), 0);
        s = start(fd, &set);
        assert_string_equal(owner(&s, "one"), "-");
        stop(&s);
        assert_int_equal(unlinkat(fd, TOKEN_SEEN_FILE, 0), 0);
        assert_int_equal(mkfifoat(fd, TOKEN_SEEN_FILE, 0600), 0); /* nobody waits for it */
        s = start(fd, &set);
        add(&s, &entries[0], "one");
        stop(&s);
        assert_int_equal(unlinkat(fd, TOKEN_SEEN_FILE, 0), 0);
        assert_int_equal(mkdirat(fd, TOKEN_SEEN_FILE, 0700), 0); /* cannot be replaced: nothing is kept */
        s = start(fd, &set);
        add(&s, &entries[0], "one");
        stop(&s);
        s = start(-1, &set);
        add(&s, &entries[0], "one");
        stop(&s);
        close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, enter_directory, leave_directory)
        const struct CMUnitTest tests[] = {
                TEST(a_start_knows_them),
                TEST(changed_entries_are_unknown),
                TEST(damage_forgets),
                TEST(not_ours_alone),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
