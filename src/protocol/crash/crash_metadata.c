#include "protocol/crash/crash_metadata.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "protocol/crash/crash_metadata_print.h"
#include "protocol/json/json_document.h"
#include "protocol/uuid.h"
#include "util/arena.h"

/* From text to a tree (after the strict check of json_document.h), from the tree to fields and to normalised text. The
 * tree is freed before crash_metadata_parse() returns: 64 KiB of "{}," make a tree of 15 MiB, which may exist for a
 * moment but not for the time of an upload. What stays is one arena of at most ARENA_MAX.
 *
 * Failure: the message names the path of the first field that is wrong, and never repeats its value. The reader keeps
 * the first failure and then reads nothing more. */

#define DEPTH_MAX 32
#define TEXT_MAX 1024        /* platform, version and the like: they become columns and labels */
#define ARENA_MAX (1u << 20) /* the fields, the context and the document are each at most twice the input */
#define PATH_SIZE 48         /* "attachments[4294967295].content_type" */
#define NO_MAX SIZE_MAX
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

struct parsed {
        struct crash_metadata metadata;
        struct arena *arena;
};

struct reader {
        struct crash_metadata *m;
        struct arena *arena;
        struct refusal *refusal;
        int result; /* 0, an answer in *refusal, or -ENOMEM; never changes once it is not 0 */
};

static void json_putp(struct json_object **o)
{
        json_object_put(*o);
}

static void tokener_freep(struct json_tokener **t)
{
        if (*t)
                json_tokener_free(*t);
}

static void malformed(struct reader *rd, const char *path, const char *what)
{
        if (rd->result == 0)
                rd->result = refuse(rd->refusal, ANSWER_MALFORMED, "metadata.%s: %s", path, what);
}

/* NULL when there is no memory. */
static void *allocate(struct reader *rd, size_t n)
{
        void *p = arena_alloc(rd->arena, n);
        if (!p && rd->result == 0)
                rd->result = -ENOMEM;
        return p;
}

static const char *copy(struct reader *rd, const char *s, size_t len)
{
        char *to = allocate(rd, len + 1);
        if (to) {
                memcpy(to, s, len);
                to[len] = '\0';
        }
        return to;
}

/* The member that the last component of path names. False: there is none. A JSON null is NULL. */
static bool find(struct json_object *parent, const char *path, struct json_object **ret)
{
        const char *dot = strrchr(path, '.');
        return json_object_object_get_ex(parent, dot ? dot + 1 : path, ret);
}

static const char *not_a(enum json_type type)
{
        switch (type) {
        case json_type_object: return "not an object";
        case json_type_array: return "not an array";
        case json_type_string: return "not a string";
        default: return "not an integer";
        }
}

/* NULL: the reader has failed, now or before. */
static struct json_object *find_typed(struct reader *rd, struct json_object *parent, const char *path,
                                      enum json_type type)
{
        struct json_object *value = NULL;
        if (rd->result != 0)
                return NULL;
        if (!find(parent, path, &value))
                malformed(rd, path, "missing");
        else if (!json_object_is_type(value, type))
                malformed(rd, path, not_a(type));
        return rd->result == 0 ? value : NULL;
}

/* Likewise. */
static const char *read_text(struct reader *rd, struct json_object *parent, const char *path, size_t max)
{
        struct json_object *value = find_typed(rd, parent, path, json_type_string);
        if (!value)
                return NULL;
        const char *s = json_object_get_string(value);
        size_t len = (size_t)json_object_get_string_len(value);
        if (memchr(s, '\0', len))
                malformed(rd, path, "contains a NUL");
        else if (len > max)
                malformed(rd, path, "longer than " STRINGIFY(TEXT_MAX) " bytes");
        return rd->result == 0 ? copy(rd, s, len) : NULL;
}

/* NULL also when the member is absent or null. */
static const char *read_optional_text(struct reader *rd, struct json_object *parent, const char *path)
{
        struct json_object *value;
        return find(parent, path, &value) && value ? read_text(rd, parent, path, NO_MAX) : NULL;
}

static uint64_t read_unsigned(struct reader *rd, struct json_object *parent, const char *path)
{
        struct json_object *value = find_typed(rd, parent, path, json_type_int);
        if (value && json_object_get_int64(value) < 0)
                malformed(rd, path, "less than 0");
        return json_object_get_uint64(value);
}

static void read_version(struct reader *rd, struct json_object *root)
{
        struct json_object *value = find_typed(rd, root, "schema_version", json_type_int);
        if (!value)
                return;
        int64_t n = json_object_get_int64(value); /* clamped to INT64_MAX, get_uint64 to 0 */
        if (n < 0)
                rd->result =
                        refuse(rd->refusal, ANSWER_VERSION, "protocol version %lld does not match 1", (long long)n);
        else if (n != 1)
                rd->result = refuse(rd->refusal, ANSWER_VERSION, "protocol version %llu does not match 1",
                                    (unsigned long long)json_object_get_uint64(value));
}

static void read_project(struct reader *rd, struct json_object *source)
{
        const char *project = read_text(rd, source, "source.project", NO_MAX);
        if (!project)
                return;
        size_t len = strlen(project);
        if (source_component_valid(project, len))
                memcpy(rd->m->source.project, project, len + 1);
        else
                malformed(rd, "source.project",
                          "not 1 to 128 characters of A-Z a-z 0-9 . _ - @ + : ~, or begins with a dot");
}

static void read_source(struct reader *rd, struct json_object *root)
{
        struct json_object *source = find_typed(rd, root, "source", json_type_object);
        char uuid[UUID_SIZE];

        read_project(rd, source);
        rd->m->platform = read_text(rd, source, "source.platform", TEXT_MAX);
        rd->m->version = read_text(rd, source, "source.version", TEXT_MAX);
        const char *install_id = read_text(rd, source, "source.install_id", NO_MAX);
        if (!install_id)
                return;
        if (uuid_normalise(install_id, uuid))
                memcpy(rd->m->source.install_id, uuid, sizeof(uuid));
        else
                malformed(rd, "source.install_id", "not a UUID");
}

static void read_timestamp(struct reader *rd, struct json_object *root)
{
        const char *text = read_text(rd, root, "timestamp", NO_MAX);
        if (text && clock_parse_rfc3339(text, strlen(text), &rd->m->timestamp) != 0)
                malformed(rd, "timestamp", "not an RFC 3339 date and time");
}

static void read_kind(struct reader *rd, struct json_object *root)
{
        static const char *const kinds[] = { "Minidump", "PanicTarball", "RustcIce" };
        const char *text = read_text(rd, root, "kind", NO_MAX);
        for (size_t i = 0; text && i < ARRAY_LEN(kinds); i++) {
                if (strcmp(text, kinds[i]) == 0)
                        rd->m->kind = kinds[i];
        }
        if (text && !rd->m->kind)
                malformed(rd, "kind", "not one of Minidump, PanicTarball, RustcIce");
}

static void read_build(struct reader *rd, struct json_object *root)
{
        struct json_object *build = find_typed(rd, root, "build", json_type_object);
        rd->m->git_sha = read_text(rd, build, "build.git_sha", TEXT_MAX);
        rd->m->profile = read_text(rd, build, "build.profile", TEXT_MAX);
        rd->m->target_triple = read_text(rd, build, "build.target_triple", TEXT_MAX);
}

/* A number like 1e400 passes the check of the text, but fits no double. */
static bool all_finite(struct json_object *value)
{
        if (json_object_is_type(value, json_type_double))
                return isfinite(json_object_get_double(value));
        if (json_object_is_type(value, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(value); i++) {
                        if (!all_finite(json_object_array_get_idx(value, i)))
                                return false;
                }
        } else if (json_object_is_type(value, json_type_object)) {
                json_object_object_foreach(value, key, member)
                {
                        (void)key;
                        if (!all_finite(member))
                                return false;
                }
        }
        return true;
}

static void read_context(struct reader *rd, struct json_object *root)
{
        struct json_object *context;
        if (rd->result != 0)
                return;
        if (find(root, "context", &context))
                rd->result = crash_metadata_print(context, rd->arena, &rd->m->context);
        else
                malformed(rd, "context", "missing");
}

static bool has_key(const struct crash_manifest *entries, size_t n, const char *key)
{
        for (size_t i = 0; i < n; i++) {
                if (strcmp(entries[i].key, key) == 0)
                        return true;
        }
        return false;
}

static void read_entry(struct reader *rd, struct json_object *entry, size_t i, struct crash_manifest *entries)
{
        struct crash_manifest *e = entries + i;
        char path[PATH_SIZE];

        snprintf(path, sizeof(path), "attachments[%u]", (unsigned)i);
        if (!json_object_is_type(entry, json_type_object)) {
                malformed(rd, path, "not an object");
                return;
        }
        snprintf(path, sizeof(path), "attachments[%u].key", (unsigned)i);
        e->key = read_text(rd, entry, path, NO_MAX);
        if (e->key && *e->key == '\0')
                malformed(rd, path, "empty");
        else if (e->key && has_key(entries, i, e->key))
                malformed(rd, path, "the same as another attachment's");
        snprintf(path, sizeof(path), "attachments[%u].filename", (unsigned)i);
        e->filename = read_optional_text(rd, entry, path);
        snprintf(path, sizeof(path), "attachments[%u].content_type", (unsigned)i);
        e->content_type = read_text(rd, entry, path, NO_MAX);
        snprintf(path, sizeof(path), "attachments[%u].len", (unsigned)i);
        e->len = read_unsigned(rd, entry, path);
}

static void read_manifest(struct reader *rd, struct json_object *root, unsigned max)
{
        struct json_object *array = find_typed(rd, root, "attachments", json_type_array);
        size_t n = array ? json_object_array_length(array) : 0;
        if (n > max) {
                rd->result = refuse(rd->refusal, ANSWER_MALFORMED, "metadata.attachments: more than %u", max);
                return;
        }
        struct crash_manifest *entries = allocate(rd, n * sizeof(*entries));
        for (size_t i = 0; i < n && rd->result == 0; i++)
                read_entry(rd, json_object_array_get_idx(array, i), i, entries);
        rd->m->manifest = entries;
        rd->m->n_manifest = n;
}

static int read_fields(struct reader *rd, struct json_object *root, unsigned max_manifest)
{
        read_version(rd, root);
        read_source(rd, root);
        read_timestamp(rd, root);
        read_kind(rd, root);
        read_build(rd, root);
        rd->m->panic_text = read_optional_text(rd, root, "panic_text");
        read_context(rd, root);
        read_manifest(rd, root, max_manifest);
        if (rd->result == 0 && !all_finite(root))
                rd->result = refuse(rd->refusal, ANSWER_MALFORMED, "metadata: a number is too large");
        return rd->result;
}

static bool begins_object(const struct buf *text)
{
        size_t i = 0;
        while (i < text->len && text->data[i] <= ' ')
                i++; /* only white space, since the text was checked */
        return i < text->len && text->data[i] == '{';
}

static int parse_tree(const uint8_t *data, size_t len, struct json_object **ret, struct refusal *r)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        _cleanup_(tokener_freep) struct json_tokener *tokener = NULL;
        struct error err;

        int answer = json_document_check((const char *)data, len, DEPTH_MAX, &text, &err);
        if (answer < 0)
                return answer;
        if (answer > 0)
                return refuse(r, ANSWER_MALFORMED, "metadata: not JSON: %s", err.text);
        if (!begins_object(&text))
                return refuse(r, ANSWER_MALFORMED, "metadata: not an object");
        tokener = json_tokener_new_ex(DEPTH_MAX + 1); /* json-c counts the innermost scalar as a level */
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        *ret = json_tokener_parse_ex(tokener, (const char *)text.data, (int)text.len);
        return *ret ? 0 : -ENOMEM; /* it is JSON, so only memory can be missing */
}

static struct parsed *parsed_free(struct parsed *p)
{
        if (p)
                arena_free(p->arena);
        free(p);
        return NULL;
}

static struct parsed *parsed_new(void)
{
        struct parsed *p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        p->arena = arena_new(ARENA_MAX);
        return p->arena ? p : parsed_free(p);
}

static int fill(struct parsed *p, struct json_object *root, unsigned max_manifest, struct refusal *r)
{
        struct reader rd = { .m = &p->metadata, .arena = p->arena, .refusal = r };
        int answer = read_fields(&rd, root, max_manifest);
        if (answer != 0)
                return answer;
        return crash_metadata_print_document(root, &p->metadata, p->arena, &p->metadata.json);
}

int crash_metadata_parse(const uint8_t *data, size_t len, unsigned max_manifest, struct crash_metadata **ret,
                         struct refusal *r)
{
        _cleanup_(json_putp) struct json_object *root = NULL;

        if (len > CRASH_METADATA_MAX_BYTES)
                return refuse(r, ANSWER_TOO_LARGE, "metadata: longer than %d bytes", CRASH_METADATA_MAX_BYTES);
        size_t mark = len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* RFC 8259 §8.1: may be ignored */
        int answer = parse_tree(data + mark, len - mark, &root, r);
        if (answer != 0)
                return answer;
        struct parsed *p = parsed_new();
        if (!p)
                return -ENOMEM;
        answer = fill(p, root, max_manifest, r);
        if (answer != 0) {
                parsed_free(p);
                return answer;
        }
        *ret = &p->metadata;
        return 0;
}

struct crash_metadata *crash_metadata_free(struct crash_metadata *m)
{
        if (m)
                parsed_free(container_of(m, struct parsed, metadata));
        return NULL;
}
