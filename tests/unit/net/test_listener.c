#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <cmocka.h>

static int bind_to(const char *address, bool share, struct error *err)
{
        int fd = -1;
        int r = listener_bind(address, share, &fd, err);
        if (r == 0)
                close(fd);
        else
                assert_int_equal(fd, -1);
        return r;
}

static void what_is_not_an_address(void **state _unused_)
{
        static const char *const bad[] = {
                "",
                "x",
                ":80",
                "127.0.0.1",
                "127.0.0.1:",
                "127.0.0.1:x",
                "127.0.0.1:80x",
                "127.0.0.1:65536",
                "127.0.0.1:-1",
                "127.0.0.1: 80",
                "localhost:80",
                "127.0.0:80",
                "::1:80",
                "[::1]",
                "[::1:80",
                "[127.0.0.1]:80",
                "[]:80",
                "unix:/tmp/x",
                "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:80",
        };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct error err = { "" };
                assert_int_equal(bind_to(bad[i], false, &err), -EINVAL);
                assert_non_null(strstr(err.text, "ADDR:PORT"));
        }
}

static void an_address_that_is_not_here(void **state _unused_)
{
        struct error err = { "" };
        assert_int_equal(bind_to("192.0.2.1:0", false, &err), -EADDRNOTAVAIL); /* RFC 5737 */
        assert_string_equal(err.text, "192.0.2.1:0: cannot listen: Cannot assign requested address");
}

/* SO_REUSEPORT would share the port of another listener without a word. */
static void an_address_in_use(void **state _unused_)
{
        char address[LISTENER_ADDRESS_SIZE];
        struct error err = { "" };
        _cleanup_(closep) int fd = -1;
        assert_int_equal(listener_bind("127.0.0.1:0", false, &fd, &err), 0);
        assert_int_equal(listener_address(fd, address), 0);
        assert_memory_equal(address, "127.0.0.1:", 10);
        assert_string_not_equal(address, "127.0.0.1:0");

        assert_int_equal(bind_to(address, false, &err), -EADDRINUSE);
        assert_non_null(strstr(err.text, "cannot listen: Address already in use"));
        assert_int_equal(bind_to(address, true, &err), 0);
}

static struct rlimit leave_no_descriptor(void)
{
        struct rlimit old, none;
        int next = dup(0);
        assert_true(next >= 0);
        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        none = (struct rlimit){ (rlim_t)next, old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        return old;
}

static void no_descriptor_to_bind_with(void **state _unused_)
{
        struct error err = { "" };
        struct rlimit old = leave_no_descriptor();
        int r = bind_to("127.0.0.1:0", false, &err);
        setrlimit(RLIMIT_NOFILE, &old);
        assert_int_equal(r, -EMFILE);
        assert_non_null(strstr(err.text, "cannot listen: Too many open files"));
}

static void addresses_in_words(void **state _unused_)
{
        char text[LISTENER_ADDRESS_SIZE];
        struct sockaddr_storage s = { 0 };
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s;
        *in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(80) };
        memset(&in6->sin6_addr, 0xFF, sizeof(in6->sin6_addr)); /* the longest */
        listener_format_peer(&s, text);
        assert_string_equal(text, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80");
        s = (struct sockaddr_storage){ .ss_family = AF_UNIX };
        listener_format_peer(&s, text);
        assert_string_equal(text, "local");

        _cleanup_(closep) int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_int_equal(listener_address(file, text), -ENOTSOCK);
}

static void refuse_accepted(void *userdata _unused_, int fd, const struct sockaddr_storage *peer _unused_)
{
        close(fd);
        fail();
}

/* The descriptor is taken on failure too. */
static void what_cannot_be_watched(void **state _unused_)
{
        _cleanup_(loop_freep) struct loop *loop = NULL;
        struct listener *l = NULL;
        assert_int_equal(loop_new(&loop), 0);
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(listener_new(loop, fd, refuse_accepted, NULL, &l), -EPERM);
        assert_null(l);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
}

struct served {
        struct loop *loop;
        struct listener *listener;
        struct sockaddr_in address;
        pthread_t thread;
};

static void greet(void *userdata _unused_, int fd, const struct sockaddr_storage *peer _unused_)
{
        int no_delay = 0;
        socklen_t len = sizeof(no_delay);
        getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len);
        bool as_promised = no_delay && fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC;
        ssize_t n = send(fd, as_promised ? "+" : "-", 1, MSG_NOSIGNAL);
        (void)n; /* the test sees it */
        close(fd);
}

static void *serve(void *loop)
{
        loop_run(loop);
        return NULL;
}

static void start(struct served *s)
{
        socklen_t len = sizeof(s->address);
        int fd = -1;
        assert_int_equal(loop_new(&s->loop), 0);
        assert_int_equal(listener_bind("127.0.0.1:0", false, &fd, NULL), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&s->address, &len), 0);
        assert_int_equal(listener_new(s->loop, fd, greet, NULL, &s->listener), 0);
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s->loop), 0);
}

static void stop(struct served *s)
{
        loop_stop(s->loop);
        pthread_join(s->thread, NULL);
        listener_free(s->listener);
        loop_free(s->loop);
}

/* What the listener says to a client with that socket, which it closes: '+', or '\0' where it only hangs up. */
static char dial(const struct served *s, int fd)
{
        char c = '\0';
        assert_int_equal(connect(fd, (const struct sockaddr *)&s->address, sizeof(s->address)), 0);
        ssize_t n = recv(fd, &c, 1, 0);
        assert_true(n >= 0 || errno == ECONNRESET);
        close(fd);
        return c;
}

static void connections_are_accepted(void **state _unused_)
{
        struct served s;
        start(&s);
        for (int i = 0; i < 3; i++)
                assert_int_equal(dial(&s, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), '+');
        stop(&s);
}

/* Without a descriptor a client is turned away at once, and the listener goes on when there are some again. */
static void no_descriptor_to_accept_with(void **state _unused_)
{
        struct served s;
        int clients[3];
        start(&s);
        for (size_t i = 0; i < ARRAY_LEN(clients); i++)
                clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct rlimit old = leave_no_descriptor();
        char first = dial(&s, clients[2]);
        setrlimit(RLIMIT_NOFILE, &old);
        assert_int_equal(first, '\0');
        assert_int_equal(dial(&s, clients[1]), '+');
        assert_int_equal(dial(&s, clients[0]), '+');
        stop(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_not_an_address),   cmocka_unit_test(an_address_that_is_not_here),
                cmocka_unit_test(an_address_in_use),        cmocka_unit_test(no_descriptor_to_bind_with),
                cmocka_unit_test(addresses_in_words),       cmocka_unit_test(what_cannot_be_watched),
                cmocka_unit_test(connections_are_accepted), cmocka_unit_test(no_descriptor_to_accept_with),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
