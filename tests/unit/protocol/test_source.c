/* Source components, and otlp_source(): where the parts of a source come from. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "otlp/otlp_wire.h"
#include "protocol/otlp/otlp.h"
#include "protocol/source.h"

static bool valid(const char *s)
{
        return source_component_valid(s, strlen(s));
}

static void components(void **state)
{
        (void)state;
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@+:~";
        for (int c = 0; c < 256; c++) {
                char text[] = { 'x', (char)c };
                assert_int_equal(source_component_valid(text, 2), c != 0 && strchr(allowed, c) != NULL);
        }
        assert_true(valid("a"));
        assert_true(valid("a..b"));
        assert_true(valid("~user@host:1+2"));
        assert_false(valid(""));
        assert_false(valid("."));
        assert_false(valid(".."));
        assert_false(valid(".hidden"));
        assert_false(valid("a/b"));
        assert_false(source_component_valid("a\0b", 3));
        char longest[SOURCE_COMPONENT_MAX + 1];
        memset(longest, 'x', sizeof(longest));
        assert_true(source_component_valid(longest, SOURCE_COMPONENT_MAX));
        assert_false(source_component_valid(longest, SOURCE_COMPONENT_MAX + 1));
}

static void canonical(void **state)
{
        (void)state;
        char text[SOURCE_CANONICAL_SIZE];
        struct source s = { "acme", "one" };
        assert_int_equal(source_canonical(&s, text), 8);
        assert_string_equal(text, "acme/one");
        memset(s.project, 'p', SOURCE_COMPONENT_MAX);
        memset(s.install_id, 'i', SOURCE_COMPONENT_MAX);
        assert_int_equal(source_canonical(&s, text), SOURCE_CANONICAL_SIZE - 1);
        assert_int_equal(strlen(text), SOURCE_CANONICAL_SIZE - 1);
}

/* What comes out of an escaped name; the caller frees it. NULL: it was cut. */
static uint8_t *unescape(const char *text, size_t *ret_len)
{
        uint8_t *name = malloc(strlen(text) + 1);
        size_t n = 0;
        assert_non_null(name);
        for (const char *p = text; *p; p++) {
                if (p[0] == '~' && p[1] == '~') {
                        free(name);
                        return NULL;
                }
                unsigned c = (uint8_t)*p;
                if (*p == '~') {
                        assert_int_equal(sscanf(p + 1, "%2X", &c), 1);
                        p += 2;
                }
                name[n++] = (uint8_t)c;
        }
        *ret_len = n;
        return name;
}

static void assert_escaped(const char *name, const char *expected)
{
        char text[SOURCE_COMPONENT_MAX + 1];
        source_component_escape(name, strlen(name), text);
        assert_string_equal(text, expected);
}

static void escapes(void **state)
{
        (void)state;
        char name[200], expected[200];
        assert_escaped("web-1", "web-1");
        assert_escaped("Checkout Service", "Checkout~20Service");
        assert_escaped("Z\xC3\xBCrich-API", "Z~C3~BCrich-API");
        assert_escaped("..", "~2E.");
        assert_escaped("a~b", "a~7Eb");
        assert_escaped("a~~b", "a~7E~7Eb");
        assert_escaped("DOMAIN\\host", "DOMAIN~5Chost");
        memset(name, 'x', sizeof(name));
        name[SOURCE_COMPONENT_MAX] = '\0';
        assert_escaped(name, name);
        name[SOURCE_COMPONENT_MAX] = 'x';
        name[SOURCE_COMPONENT_MAX + 1] = '\0';
        snprintf(expected, sizeof(expected), "%.110s~~0ec9eb33e74510bc", name);
        char text[SOURCE_COMPONENT_MAX + 1], other[SOURCE_COMPONENT_MAX + 1];
        source_component_escape(name, strlen(name), text);
        assert_string_equal(text, expected);
        name[SOURCE_COMPONENT_MAX] = 'y';
        source_component_escape(name, strlen(name), other);
        assert_string_not_equal(text, other);
        memcpy(name + 109, "/", 1); /* its escape would end beyond 110 */
        source_component_escape(name, strlen(name), other);
        assert_memory_equal(other + 109, "~~", 2);
        assert_int_equal(strlen(other), SOURCE_COMPONENT_MAX - 1);
}

/* Every name comes back, so two names never become one. */
static void escaping_is_reversible(void **state)
{
        (void)state;
        unsigned seed = 1, cut = 0;
        for (int round = 0; round < 20000; round++) {
                uint8_t name[140];
                char text[SOURCE_COMPONENT_MAX + 1];
                size_t len = 1 + (size_t)rand_r(&seed) % sizeof(name), n = 0;
                for (size_t i = 0; i < len; i++)
                        name[i] = rand_r(&seed) % 20 ? (uint8_t) "ab~.@E27"[rand_r(&seed) % 8] : (uint8_t)rand_r(&seed);
                source_component_escape(name, len, text);
                assert_true(valid(text));
                uint8_t *back = unescape(text, &n);
                if (back) {
                        assert_int_equal(n, len);
                        assert_memory_equal(back, name, len);
                }
                cut += !back;
                free(back);
        }
        assert_in_range(cut, 1000, 19000);
}

static const char *const default_rules[] = {
        "app.installation.id", "device.id", "service.name@host.name", "service.name@host.id",
        "host.name",           "host.id",   "service.instance.id",    "service.name",
};

static struct arena *arena;
static struct buf request; /* what the source of the last call points into */

static int new_arena(void **state)
{
        (void)state;
        arena = arena_new(1 << 20);
        return arena ? 0 : -1;
}

static int drop_arena(void **state)
{
        (void)state;
        buf_done(&request);
        arena = arena_free(arena);
        return 0;
}

/* Takes resource; NULL: a ResourceLogs without one. */
static int source_of(struct buf *resource, bool derive, const char *project, struct otlp_source *ret, struct refusal *r)
{
        struct otlp_resources resources;
        buf_done(&request);
        request = wire_request(resource, NULL, NULL);
        *r = (struct refusal){ 0 };
        const struct otlp_span bytes = { request.data, request.data + request.len };
        assert_int_equal(otlp_split(arena, bytes, 1, &resources, r), 0);
        assert_int_equal(resources.n, 1);
        const struct otlp_token token = { project, "the token" };
        struct otlp_derive rules = { 0 };
        for (size_t i = 0; i < ARRAY_LEN(default_rules); i++)
                otlp_derive_add(&rules, default_rules[i]);
        return otlp_source(&resources.logs[0], derive ? &rules : NULL, &token, ret, r);
}

static void assert_source(struct buf *resource, bool derive, const char *project, const char *install_id,
                          const char *platform, const char *version)
{
        struct otlp_source s;
        struct refusal r = { 0 };
        assert_int_equal(source_of(resource, derive, "of-the-token", &s, &r), 0);
        assert_string_equal(s.id.project, project);
        assert_string_equal(s.id.install_id, install_id);
        assert_int_equal(s.platform_len, strlen(platform));
        assert_int_equal(s.version_len, strlen(version));
        assert_memory_equal(s.platform, platform, s.platform_len);
        assert_memory_equal(s.version, version, s.version_len);
}

static void assert_refused(struct buf *resource, bool derive, const char *message)
{
        struct otlp_source s;
        struct refusal r = { 0 };
        assert_int_equal(source_of(resource, derive, "of-the-token", &s, &r), ANSWER_MALFORMED);
        assert_non_null(strstr(r.message, message));
}

static const char *const own[] = { "source.project", "source.platform", "source.version", "source.install_id" };

static struct buf all_but(int missing)
{
        struct buf resource = { 0 };
        static const char *const values[] = { "acme", "linux", "1.4.2", "one" };
        for (int i = 0; i < 4; i++) {
                if (i != missing)
                        wire_attribute_str(&resource, 1, own[i], values[i]);
        }
        return resource;
}

static void our_own_attributes(void **state)
{
        (void)state;
        for (int derive = 0; derive < 2; derive++) {
                struct buf resource = all_but(-1);
                wire_attribute_str(&resource, 1, "service.instance.id", "other");
                wire_attribute_str(&resource, 1, "os.type", "other");
                assert_source(&resource, derive, "acme", "one", "linux", "1.4.2");
        }
}

static void each_is_required_without_derive(void **state)
{
        (void)state;
        assert_refused(NULL, false, "resource_logs.resource is required");
        for (int i = 0; i < 4; i++) {
                struct buf resource = all_but(i);
                struct otlp_source s;
                struct refusal r = { 0 };
                char expected[64];
                wire_attribute_str(&resource, 1, "service.instance.id", "other");
                wire_attribute_str(&resource, 1, "os.type", "other");
                wire_attribute_str(&resource, 1, "service.version", "other");
                snprintf(expected, sizeof(expected), "missing resource attribute `%s`", own[i]);
                assert_int_equal(source_of(&resource, false, "of-the-token", &s, &r), ANSWER_MALFORMED);
                assert_string_equal(r.message, expected);
        }
}

static void stock_attributes_stand_in(void **state)
{
        (void)state;
        static const char *const names[] = { "app.installation.id", "device.id",   "host.name", "host.id",
                                             "service.instance.id", "service.name" };
        for (int first = 0; first < 6; first++) {
                struct buf resource = { 0 };
                for (int i = 5; i >= first; i--) /* their rank counts, not their order */
                        wire_attribute_str(&resource, 1, names[i], names[i]);
                static const char *const pairs[] = { [2] = "service.name@host.name", [3] = "service.name@host.id" };
                bool paired = first == 2 || first == 3;
                assert_source(&resource, true, "of-the-token", paired ? pairs[first] : names[first], "", "");
        }
        struct buf resource = { 0 };
        wire_attribute_str(&resource, 1, "host.name", "node");
        wire_attribute_str(&resource, 1, "os.type", "darwin");
        wire_attribute_str(&resource, 1, "service.version", "9");
        assert_source(&resource, true, "of-the-token", "node", "darwin", "9");
}

static void a_service_without_a_name(void **state)
{
        (void)state;
        struct buf resource = { 0 };
        wire_attribute_str(&resource, 1, "service.name", "unknown_service:/usr/bin/node");
        wire_attribute_str(&resource, 1, "host.name", "web 1");
        wire_attribute_str(&resource, 1, "service.instance.id", "");
        assert_source(&resource, true, "of-the-token", "web~201", "", "");
        wire_attribute_str(&resource, 1, "service.name", "unknown_service:/usr/bin/node");
        assert_source(&resource, true, "of-the-token", "unknown_service:~2Fusr~2Fbin~2Fnode", "", "");
        wire_attribute_str(&resource, 1, "service.name", "shop/checkout");
        wire_attribute_str(&resource, 1, "host.name", "");
        wire_attribute_str(&resource, 1, "host.id", "{1-2}");
        assert_source(&resource, true, "of-the-token", "shop~2Fcheckout@~7B1-2~7D", "", "");
}

static void nothing_to_derive_from(void **state)
{
        (void)state;
        struct buf resource = { 0 };
        struct otlp_source s;
        struct refusal r = { 0 };
        assert_source(NULL, true, "of-the-token", "the~20token", "", "");
        assert_source(&resource, true, "of-the-token", "the~20token", "", "");
        wire_attribute_str(&resource, 1, "host.name", "node");
        assert_int_equal(source_of(&resource, true, NULL, &s, &r), ANSWER_MALFORMED);
        assert_string_equal(r.message, "missing resource attribute `source.project`");
}

/* As in the reference: the first attribute of the name decides, whatever it is. */
static void only_strings_count(void **state)
{
        (void)state;
        struct buf resource = { 0 };
        wire_attribute_int(&resource, 1, "source.project", 1);
        wire_attribute_str(&resource, 1, "source.project", "acme");
        wire_attribute_int(&resource, 1, "service.instance.id", 1);
        wire_attribute_str(&resource, 1, "host.name", "first");
        wire_attribute_str(&resource, 1, "host.name", "second");
        struct buf kv = { 0 };
        wire_str(&kv, 1, "os.type");
        wire_message(&resource, 1, &kv); /* a key without a value */
        assert_source(&resource, true, "of-the-token", "first", "", "");
        resource = all_but(0);
        wire_attribute_int(&resource, 1, "source.project", 1);
        assert_refused(&resource, false, "missing resource attribute `source.project`");
}

static void invalid_components_name_their_attribute(void **state)
{
        (void)state;
        struct buf resource = all_but(0);
        wire_attribute_str(&resource, 1, "source.project", "../etc");
        assert_refused(&resource, true, "resource attribute `source.project` ");
        resource = all_but(3);
        wire_attribute_str(&resource, 1, "source.install_id", "");
        assert_refused(&resource, false, "resource attribute `source.install_id` ");
        wire_attribute_str(&resource, 1, "source.install_id", "my laptop"); /* also where it could be derived */
        wire_attribute_str(&resource, 1, "host.name", "node");
        assert_refused(&resource, true, "resource attribute `source.install_id` ");
}

static void labels_keep_their_length(void **state)
{
        (void)state;
        struct buf resource = all_but(2), value = { 0 };
        struct otlp_source s;
        struct refusal r = { 0 };
        wire_bytes(&value, 1, "1\0b", 3);
        wire_attribute(&resource, 1, "source.version", &value);
        assert_int_equal(source_of(&resource, false, NULL, &s, &r), 0);
        assert_int_equal(s.version_len, 3);
        assert_memory_equal(s.version, "1\0b", 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(components),
                cmocka_unit_test(canonical),
                cmocka_unit_test(escapes),
                cmocka_unit_test(escaping_is_reversible),
                cmocka_unit_test_setup_teardown(our_own_attributes, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(each_is_required_without_derive, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(stock_attributes_stand_in, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(a_service_without_a_name, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(nothing_to_derive_from, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(only_strings_count, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(invalid_components_name_their_attribute, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(labels_keep_their_length, new_arena, drop_arena),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
