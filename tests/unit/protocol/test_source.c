/* Source components, and otlp_source(): where the parts of a source come from. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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
        return otlp_source(&resources.logs[0], derive, project, ret, r);
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
        static const char *const names[] = { "service.instance.id", "host.id", "host.name", "service.name" };
        for (int first = 0; first < 4; first++) {
                struct buf resource = { 0 };
                for (int i = 3; i >= first; i--) /* their rank counts, not their order */
                        wire_attribute_str(&resource, 1, names[i], names[i]);
                assert_source(&resource, true, "of-the-token", names[first], "", "");
        }
        struct buf resource = { 0 };
        wire_attribute_str(&resource, 1, "host.name", "node");
        wire_attribute_str(&resource, 1, "os.type", "darwin");
        wire_attribute_str(&resource, 1, "service.version", "9");
        assert_source(&resource, true, "of-the-token", "node", "darwin", "9");
}

static void nothing_to_derive_from(void **state)
{
        (void)state;
        struct buf resource = { 0 };
        struct otlp_source s;
        struct refusal r = { 0 };
        assert_refused(NULL, true, "missing resource attribute `source.install_id`");
        assert_refused(&resource, true, "missing resource attribute `source.install_id`");
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
        wire_attribute_str(&resource, 1, "host.name", "my laptop");
        assert_refused(&resource, true, "resource attribute `host.name` ");
        struct buf value = { 0 };
        wire_bytes(&value, 1, "a\0b", 3);
        wire_attribute(&resource, 1, "host.id", &value);
        assert_refused(&resource, true, "resource attribute `host.id` ");
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
                cmocka_unit_test_setup_teardown(our_own_attributes, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(each_is_required_without_derive, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(stock_attributes_stand_in, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(nothing_to_derive_from, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(only_strings_count, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(invalid_components_name_their_attribute, new_arena, drop_arena),
                cmocka_unit_test_setup_teardown(labels_keep_their_length, new_arena, drop_arena),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
