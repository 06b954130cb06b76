#include "protocol/crash/crash_metadata_print.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* New objects share their members with the tree that was read, which stays as it is. Only memory can fail. */

static void json_putp(struct json_object **o)
{
        json_object_put(*o);
}

int crash_metadata_print(struct json_object *value, struct arena *arena, const char **ret)
{
        size_t len;
        const char *text =
                json_object_to_json_string_length(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
        char *copy = text ? arena_alloc(arena, len + 1) : NULL;
        if (!copy)
                return -ENOMEM;
        memcpy(copy, text, len);
        copy[len] = '\0';
        *ret = copy;
        return 0;
}

/* Takes value. */
static int set(struct json_object *object, const char *key, struct json_object *value)
{
        if (json_object_object_add(object, key, value) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

static int set_text(struct json_object *object, const char *key, const char *text)
{
        struct json_object *value = json_object_new_string(text);
        return value ? set(object, key, value) : -ENOMEM;
}

static bool is_listed(const char *key, const char *const keys[])
{
        for (; *keys; keys++) {
                if (strcmp(*keys, key) == 0)
                        return true;
        }
        return false;
}

/* A new object with the same members: first those of keys (NULL-terminated), null where absent, then the others. */
static int order(struct json_object *from, const char *const keys[], struct json_object **ret)
{
        _cleanup_(json_putp) struct json_object *to = json_object_new_object();
        if (!to)
                return -ENOMEM;
        for (const char *const *key = keys; *key; key++) {
                struct json_object *value = NULL;
                json_object_object_get_ex(from, *key, &value);
                if (set(to, *key, json_object_get(value)) < 0)
                        return -ENOMEM;
        }
        json_object_object_foreach(from, key, member)
        {
                if (!is_listed(key, keys) && set(to, key, json_object_get(member)) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(to);
        return 0;
}

static int order_member(struct json_object *object, const char *key, const char *const keys[], struct json_object **ret)
{
        struct json_object *ordered;
        int r = order(json_object_object_get(object, key), keys, &ordered);
        if (r < 0 || (r = set(object, key, ordered)) < 0)
                return r;
        *ret = ordered;
        return 0;
}

static int order_manifest(struct json_object *document)
{
        static const char *const keys[] = { "key", "filename", "content_type", "len", NULL };
        struct json_object *from = json_object_object_get(document, "attachments");
        _cleanup_(json_putp) struct json_object *to = json_object_new_array();
        if (!to)
                return -ENOMEM;
        for (size_t i = 0; i < json_object_array_length(from); i++) {
                struct json_object *entry;
                int r = order(json_object_array_get_idx(from, i), keys, &entry);
                if (r < 0)
                        return r;
                if (json_object_array_add(to, entry) < 0) {
                        json_object_put(entry);
                        return -ENOMEM;
                }
        }
        return set(document, "attachments", TAKE_PTR(to));
}

int crash_metadata_print_document(struct json_object *root, const struct crash_metadata *m, struct arena *arena,
                                  const char **ret)
{
        static const char *const keys[] = { "schema_version", "source",  "timestamp",   "kind", "build",
                                            "panic_text",     "context", "attachments", NULL };
        static const char *const source_keys[] = { "project", "platform", "version", "install_id", NULL };
        static const char *const build_keys[] = { "git_sha", "profile", "target_triple", NULL };
        _cleanup_(json_putp) struct json_object *document = NULL;
        struct json_object *source, *build;
        char timestamp[CLOCK_RFC3339_SIZE];

        clock_format_rfc3339(m->timestamp, timestamp);
        int r = order(root, keys, &document);
        if (r < 0 || (r = order_member(document, "source", source_keys, &source)) < 0 ||
            (r = set_text(source, "install_id", m->source.install_id)) < 0 ||
            (r = set_text(document, "timestamp", timestamp)) < 0 ||
            (r = order_member(document, "build", build_keys, &build)) < 0 || (r = order_manifest(document)) < 0)
                return r;
        return crash_metadata_print(document, arena, ret);
}
