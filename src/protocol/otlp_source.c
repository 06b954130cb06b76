/* Who sent a ResourceLogs: the four source.* attributes that detritus-client sets, or, for stock exporters, what the
 * OpenTelemetry resource conventions offer in their place. The first attribute of a name counts, and only when it is a
 * string, as in the reference. */

#include <string.h>

#include "protocol/otlp.h"
#include "protocol/otlp_messages.h"

static const char *const platform_keys[] = { "source.platform", "os.type", NULL };
static const char *const version_keys[] = { "source.version", "service.version", NULL };
static const char *const project_keys[] = { "source.project", NULL };
static const char *const install_id_keys[] = { "source.install_id", "service.instance.id", "host.id",
                                               "host.name",         "service.name",        NULL };

struct text {
        const char *key; /* the attribute it came from; NULL when there is none */
        const char *data;
        size_t len;
};

static bool is_key(const OtlpKeyValue *kv, const char *key)
{
        size_t len = strlen(key);
        return kv->key.len == len && memcmp(kv->key.data, key, len) == 0;
}

static struct text attribute(const OtlpResource *resource, const char *key)
{
        for (size_t i = 0; i < resource->n_attributes; i++) {
                const OtlpKeyValue *kv = resource->attributes[i];
                if (!is_key(kv, key))
                        continue;
                if (!kv->value || kv->value->value_case != OTLP_ANY(STRING_VALUE))
                        break;
                const ProtobufCBinaryData *s = &kv->value->string_value;
                return (struct text){ key, s->len ? (const char *)s->data : "", s->len };
        }
        return (struct text){ 0 };
}

/* The first of keys that the resource has; without derive only the first key counts. */
static struct text first_of(const OtlpResource *resource, const char *const *keys, bool derive)
{
        struct text t = { 0 };
        for (; resource && *keys && !t.key; keys++) {
                t = attribute(resource, *keys);
                if (!derive)
                        break;
        }
        return t;
}

static int refuse_missing(struct refusal *r, const char *key)
{
        return refuse(r, ANSWER_MALFORMED, "missing resource attribute `%s`", key);
}

static int take_component(const struct text *t, char ret[SOURCE_COMPONENT_MAX + 1], struct refusal *r)
{
        if (!t->data || !source_component_valid(t->data, t->len))
                return refuse(r, ANSWER_MALFORMED,
                              "resource attribute `%s` cannot name a source: it must be 1 to %d characters of "
                              "A-Z a-z 0-9 . _ - @ + : ~ and not start with a dot",
                              t->key, SOURCE_COMPONENT_MAX);
        memcpy(ret, t->data, t->len);
        ret[t->len] = '\0';
        return 0;
}

static int check_present(const struct text *project, const struct text *platform, const struct text *version,
                         const struct text *install_id, bool derive, struct refusal *r)
{
        if (!project->key)
                return refuse_missing(r, project_keys[0]);
        if (!derive && !platform->key)
                return refuse_missing(r, platform_keys[0]);
        if (!derive && !version->key)
                return refuse_missing(r, version_keys[0]);
        if (!install_id->key)
                return refuse_missing(r, install_id_keys[0]);
        return 0;
}

static void take_label(const struct text *t, const char **ret, size_t *ret_len)
{
        *ret = t->key ? t->data : "";
        *ret_len = t->len;
}

int otlp_source(const OtlpResourceLogs *logs, bool derive, const char *token_project, struct otlp_source *ret,
                struct refusal *r)
{
        const OtlpResource *resource = logs->resource;
        if (!resource && !derive)
                return refuse(r, ANSWER_MALFORMED, "resource_logs.resource is required");

        struct text project = first_of(resource, project_keys, derive);
        struct text platform = first_of(resource, platform_keys, derive);
        struct text version = first_of(resource, version_keys, derive);
        struct text install_id = first_of(resource, install_id_keys, derive);
        if (!project.key && derive && token_project)
                project = (struct text){ project_keys[0], token_project, strlen(token_project) };

        struct otlp_source s;
        int a = check_present(&project, &platform, &version, &install_id, derive, r);
        if (a == 0)
                a = take_component(&project, s.id.project, r);
        if (a == 0)
                a = take_component(&install_id, s.id.install_id, r);
        if (a != 0)
                return a;
        take_label(&platform, &s.platform, &s.platform_len);
        take_label(&version, &s.version, &s.version_len);
        *ret = s;
        return 0;
}
