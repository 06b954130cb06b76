#include "net/address_table.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct sockaddr_storage peer(int family, const char *text)
{
        struct sockaddr_storage s = { .ss_family = (sa_family_t)family };
        void *to = family == AF_INET ? (void *)&((struct sockaddr_in *)&s)->sin_addr
                                     : (void *)&((struct sockaddr_in6 *)&s)->sin6_addr;
        assert_int_equal(inet_pton(family, text, to), 1);
        return s;
}

static bool enter(struct address_table *t, int family, const char *text)
{
        struct sockaddr_storage s = peer(family, text);
        return address_table_enter(t, &s);
}

static void leave(struct address_table *t, int family, const char *text)
{
        struct sockaddr_storage s = peer(family, text);
        address_table_leave(t, &s);
}

static void addresses_are_counted_apart(void **state _unused_)
{
        _cleanup_(address_table_freep) struct address_table *t = address_table_new(100, 2);
        assert_non_null(t);
        assert_true(enter(t, AF_INET, "192.0.2.1"));
        assert_true(enter(t, AF_INET, "192.0.2.1"));
        assert_false(enter(t, AF_INET, "192.0.2.1"));
        assert_true(enter(t, AF_INET, "192.0.2.2"));
        leave(t, AF_INET, "192.0.2.1");
        assert_true(enter(t, AF_INET, "192.0.2.1"));
        assert_true(enter(t, AF_INET6, "::")); /* another family, like bytes */
        assert_true(enter(t, AF_INET, "0.0.0.0"));
}

static void one_subscriber_has_a_64(void **state _unused_)
{
        _cleanup_(address_table_freep) struct address_table *t = address_table_new(100, 2);
        assert_non_null(t);
        assert_true(enter(t, AF_INET6, "2001:db8:0:1::1"));
        assert_true(enter(t, AF_INET6, "2001:db8:0:1:ffff::2"));
        assert_false(enter(t, AF_INET6, "2001:db8:0:1::3"));
        assert_true(enter(t, AF_INET6, "2001:db8:0:2::1"));
}

/* A refusal, for whichever bound, leaves nothing counted. */
static void a_refusal_counts_nothing(void **state _unused_)
{
        _cleanup_(address_table_freep) struct address_table *t = address_table_new(2, 1);
        assert_non_null(t);
        assert_true(enter(t, AF_INET, "192.0.2.1"));
        for (int i = 0; i < 5; i++)
                assert_false(enter(t, AF_INET, "192.0.2.1"));
        assert_true(enter(t, AF_INET, "192.0.2.2"));
        for (int i = 0; i < 5; i++)
                assert_false(enter(t, AF_INET, "192.0.2.3"));
        leave(t, AF_INET, "192.0.2.1");
        assert_true(enter(t, AF_INET, "192.0.2.3"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_are_counted_apart),
                cmocka_unit_test(one_subscriber_has_a_64),
                cmocka_unit_test(a_refusal_counts_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
