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

/* Text to tree (checked to the letter first, see json_document.h), tree to fields, tree to normalised text. json-c's
 * tree is gone when this returns: 64 KiB of "{}," make one of 15 MiB, which may live for a moment but not as long as an
 * upload. What stays is one arena, at most ARENA_MAX.
 *
 * Failure: the first field that is wrong, by its path; its value is never repeated. */

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
        struct refusal *r;
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

static int malformed(const struct reader *rd, const char *path, const char *what)
{
        refuse(rd->r, ANSWER_MALFORMED, "metadata.%s: %s", path, what);
        return ANSWER_MALFORMED; /* a constant: the analyser must see that it is not 0 */
}

static const char *copy(const struct reader *rd, const char *s, size_t len)
{
        char *to = arena_alloc(rd->arena, len + 1);
        if (to) {
                memcpy(to, s, len);
                to[len] = '\0';
        }
        return to;
}

/* The member that path's last component names. False when there is none; null is a NULL value. */
static bool find(struct json_object *parent, const char *path, struct json_object **ret)
{
        const char *dot = strrchr(path, '.');
        return json_object_object_get_ex(parent, dot ? dot + 1 : path, ret);
}

static int find_typed(const struct reader *rd, struct json_object *parent, const char *path, enum json_type type,
                      struct json_object **ret)
{
        struct json_object *value;
        if (!find(parent, path, &value))
                return malformed(rd, path, "missing");
        if (json_object_is_type(value, type)) {
                *ret = value;
                return 0;
        }
        switch (type) {
        case json_type_object: return malformed(rd, path, "not an object");
        case json_type_array: return malformed(rd, path, "not an array");
        case json_type_string: return malformed(rd, path, "not a string");
        default: return malformed(rd, path, "not an integer");
        }
}

static int read_text(const struct reader *rd, struct json_object *parent, const char *path, size_t max,
                     const char **ret)
{
        struct json_object *value;
        int r = find_typed(rd, parent, path, json_type_string, &value);
        if (r != 0)
                return r;
        const char *s = json_object_get_string(value);
        size_t len = (size_t)json_object_get_string_len(value);
        if (memchr(s, '\0', len))
                return malformed(rd, path, "holds a NUL");
        if (len > max)
                return malformed(rd, path, "longer than " STRINGIFY(TEXT_MAX) " bytes");
        *ret = copy(rd, s, len);
        return *ret ? 0 : -ENOMEM;
}

/* Absent and null are both NULL. */
static int read_optional_text(const struct reader *rd, struct json_object *parent, const char *path, const char **ret)
{
        struct json_object *value;
        if (!find(parent, path, &value) || !value) {
                *ret = NULL;
                return 0;
        }
        return read_text(rd, parent, path, NO_MAX, ret);
}

static int read_unsigned(const struct reader *rd, struct json_object *parent, const char *path, uint64_t *ret)
{
        struct json_object *value;
        int r = find_typed(rd, parent, path, json_type_int, &value);
        if (r != 0)
                return r;
        if (json_object_get_int64(value) < 0)
                return malformed(rd, path, "less than 0");
        *ret = json_object_get_uint64(value);
        return 0;
}

static int read_version(const struct reader *rd, struct json_object *root)
{
        struct json_object *value;
        int r = find_typed(rd, root, "schema_version", json_type_int, &value);
        if (r != 0)
                return r;
        int64_t n = json_object_get_int64(value); /* clamped to INT64_MAX, get_uint64 to 0 */
        if (n < 0)
                return refuse(rd->r, ANSWER_VERSION, "protocol version %lld does not match 1", (long long)n);
        if (n != 1)
                return refuse(rd->r, ANSWER_VERSION, "protocol version %llu does not match 1",
                              (unsigned long long)json_object_get_uint64(value));
        return 0;
}

static int read_source(const struct reader *rd, struct json_object *root)
{
        struct json_object *source;
        const char *project, *install_id;
        char uuid[UUID_SIZE];

        int r = find_typed(rd, root, "source", json_type_object, &source);
        if (r != 0 || (r = read_text(rd, source, "source.project", NO_MAX, &project)) != 0)
                return r;
        size_t len = strlen(project);
        if (!source_component_valid(project, len))
                return malformed(rd, "source.project",
                                 "not 1 to 128 of A-Z a-z 0-9 . _ - @ + : ~, or begins with a dot");
        if ((r = read_text(rd, source, "source.platform", TEXT_MAX, &rd->m->platform)) != 0 ||
            (r = read_text(rd, source, "source.version", TEXT_MAX, &rd->m->version)) != 0 ||
            (r = read_text(rd, source, "source.install_id", NO_MAX, &install_id)) != 0)
                return r;
        if (!uuid_normalise(install_id, uuid))
                return malformed(rd, "source.install_id", "not a UUID");
        memcpy(rd->m->source.project, project, len + 1);
        memcpy(rd->m->source.install_id, uuid, sizeof(uuid));
        return 0;
}

static int read_timestamp(const struct reader *rd, struct json_object *root)
{
        const char *text;
        int r = read_text(rd, root, "timestamp", NO_MAX, &text);
        if (r != 0)
                return r;
        if (clock_parse_rfc3339(text, strlen(text), &rd->m->timestamp) != 0)
                return malformed(rd, "timestamp", "not an RFC 3339 date and time");
        return 0;
}

static int read_kind(const struct reader *rd, struct json_object *root)
{
        static const char *const kinds[] = { "Minidump", "PanicTarball", "RustcIce" };
        const char *text;
        int r = read_text(rd, root, "kind", NO_MAX, &text);
        if (r != 0)
                return r;
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                if (strcmp(text, kinds[i]) == 0) {
                        rd->m->kind = kinds[i];
                        return 0;
                }
        }
        return malformed(rd, "kind", "not one of Minidump, PanicTarball, RustcIce");
}

static int read_build(const struct reader *rd, struct json_object *root)
{
        struct json_object *build;
        int r = find_typed(rd, root, "build", json_type_object, &build);
        if (r != 0 || (r = read_text(rd, build, "build.git_sha", TEXT_MAX, &rd->m->git_sha)) != 0 ||
            (r = read_text(rd, build, "build.profile", TEXT_MAX, &rd->m->profile)) != 0)
                return r;
        return read_text(rd, build, "build.target_triple", TEXT_MAX, &rd->m->target_triple);
}

/* What the check lets through and no double holds: 1e400. */
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

static int read_context(const struct reader *rd, struct json_object *root)
{
        struct json_object *context;
        if (!find(root, "context", &context))
                return malformed(rd, "context", "missing");
        return crash_metadata_print(context, rd->arena, &rd->m->context);
}

static int read_entry(const struct reader *rd, struct json_object *entry, size_t i, struct crash_manifest *entries)
{
        struct crash_manifest *e = entries + i;
        char path[PATH_SIZE];
        int r;

        snprintf(path, sizeof(path), "attachments[%u]", (unsigned)i);
        if (!json_object_is_type(entry, json_type_object))
                return malformed(rd, path, "not an object");
        snprintf(path, sizeof(path), "attachments[%u].key", (unsigned)i);
        if ((r = read_text(rd, entry, path, NO_MAX, &e->key)) != 0)
                return r;
        if (*e->key == '\0')
                return malformed(rd, path, "empty");
        for (size_t other = 0; other < i; other++) {
                if (strcmp(entries[other].key, e->key) == 0)
                        return malformed(rd, path, "the same as another attachment's");
        }
        snprintf(path, sizeof(path), "attachments[%u].filename", (unsigned)i);
        if ((r = read_optional_text(rd, entry, path, &e->filename)) != 0)
                return r;
        snprintf(path, sizeof(path), "attachments[%u].content_type", (unsigned)i);
        if ((r = read_text(rd, entry, path, NO_MAX, &e->content_type)) != 0)
                return r;
        snprintf(path, sizeof(path), "attachments[%u].len", (unsigned)i);
        return read_unsigned(rd, entry, path, &e->len);
}

static int read_manifest(const struct reader *rd, struct json_object *root, unsigned max)
{
        struct json_object *array;
        int r = find_typed(rd, root, "attachments", json_type_array, &array);
        if (r != 0)
                return r;
        size_t n = json_object_array_length(array);
        if (n > max)
                return refuse(rd->r, ANSWER_MALFORMED, "metadata.attachments: more than %u", max);
        struct crash_manifest *entries = arena_alloc(rd->arena, n * sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = read_entry(rd, json_object_array_get_idx(array, i), i, entries);
                if (r != 0)
                        return r;
        }
        rd->m->manifest = entries;
        rd->m->n_manifest = n;
        return 0;
}

static int read_fields(const struct reader *rd, struct json_object *root, unsigned max_manifest)
{
        int r = read_version(rd, root);
        if (r != 0 || (r = read_source(rd, root)) != 0 || (r = read_timestamp(rd, root)) != 0 ||
            (r = read_kind(rd, root)) != 0 || (r = read_build(rd, root)) != 0 ||
            (r = read_optional_text(rd, root, "panic_text", &rd->m->panic_text)) != 0 ||
            (r = read_context(rd, root)) != 0 || (r = read_manifest(rd, root, max_manifest)) != 0)
                return r;
        if (!all_finite(root))
                return refuse(rd->r, ANSWER_MALFORMED, "metadata: a number is too large");
        return 0;
}

static bool begins_object(const struct buf *text)
{
        size_t i = 0;
        while (i < text->len && text->data[i] <= ' ')
                i++; /* it was checked: only white space */
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
        tokener = json_tokener_new_ex(DEPTH_MAX + 1); /* json-c counts the scalar inside, too */
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        *ret = json_tokener_parse_ex(tokener, (const char *)text.data, (int)text.len);
        return *ret ? 0 : -ENOMEM; /* it was JSON */
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
        const struct reader rd = { &p->metadata, p->arena, r };
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
        int answer = parse_tree(data, len, &root, r);
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
