/* Who sent a ResourceLogs: the four source.* attributes that detritus-client sets or, for stock exporters, what the
 * OpenTelemetry resource conventions offer in their place. Of several attributes with one name the first counts, and
 * only if it is a string, as in detritus-server 0.1.0. */

#include <string.h>

#include "protocol/otlp/otlp.h"
#include "protocol/otlp/otlp_view.h"

/* For each label in order of preference. The first is ours; the others count only with derive. */
enum key {
        PROJECT,
        PLATFORM,
        OS_TYPE,
        VERSION,
        SERVICE_VERSION,
        INSTALL_ID,
        SERVICE_INSTANCE_ID,
        HOST_ID,
        HOST_NAME,
        SERVICE_NAME,
        KEYS,
};

#define KEY(text)                                                                                                      \
        {                                                                                                              \
                text, sizeof(text) - 1                                                                                 \
        }

static const struct {
        const char *name;
        size_t len;
} keys[KEYS] = {
        [PROJECT] = KEY("source.project"),
        [PLATFORM] = KEY("source.platform"),
        [OS_TYPE] = KEY("os.type"),
        [VERSION] = KEY("source.version"),
        [SERVICE_VERSION] = KEY("service.version"),
        [INSTALL_ID] = KEY("source.install_id"),
        [SERVICE_INSTANCE_ID] = KEY("service.instance.id"),
        [HOST_ID] = KEY("host.id"),
        [HOST_NAME] = KEY("host.name"),
        [SERVICE_NAME] = KEY("service.name"),
};

struct text {
        const char *key; /* the attribute it came from; NULL when there is none */
        const char *data;
        size_t len;
};

static enum key find_key(struct otlp_span name)
{
        unsigned k = 0;
        while (k < KEYS && (keys[k].len != otlp_len(name) || memcmp(keys[k].name, name.at, keys[k].len) != 0))
                k++;
        return k;
}

static void read_attributes(struct otlp_span resource, struct text texts[KEYS])
{
        struct otlp_field field = { 0 };
        unsigned met = 0; /* one bit for each key */
        while (otlp_next(&resource, &field)) {
                if (field.number != 1)
                        continue;
                struct otlp_pair pair = otlp_pair(field.bytes);
                enum key k = find_key(pair.key);
                if (k == KEYS || met >> k & 1)
                        continue;
                met |= 1u << k;
                struct otlp_field value = otlp_any(pair.value);
                if (value.number == OTLP_ANY_STRING)
                        texts[k] = (struct text){ keys[k].name, (const char *)value.bytes.at, otlp_len(value.bytes) };
        }
}

/* The first of the keys from..to that the resource has. */
static struct text first_of(const struct text texts[KEYS], enum key from, enum key to, bool derive)
{
        enum key k = from;
        while (derive && k < to && !texts[k].key)
                k++;
        return texts[k];
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
                return refuse_missing(r, keys[PROJECT].name);
        if (!derive && !platform->key)
                return refuse_missing(r, keys[PLATFORM].name);
        if (!derive && !version->key)
                return refuse_missing(r, keys[VERSION].name);
        if (!install_id->key)
                return refuse_missing(r, keys[INSTALL_ID].name);
        return 0;
}

static void take_label(const struct text *t, const char **ret, size_t *ret_len)
{
        *ret = t->key ? t->data : "";
        *ret_len = t->len;
}

int otlp_source(const struct otlp_resource_logs *logs, bool derive, const char *token_project, struct otlp_source *ret,
                struct refusal *r)
{
        struct text texts[KEYS] = { 0 };
        if (logs->resource.at)
                read_attributes(logs->resource, texts);
        else if (!derive)
                return refuse(r, ANSWER_MALFORMED, "resource_logs.resource is required");

        struct text project = texts[PROJECT];
        struct text platform = first_of(texts, PLATFORM, OS_TYPE, derive);
        struct text version = first_of(texts, VERSION, SERVICE_VERSION, derive);
        struct text install_id = first_of(texts, INSTALL_ID, SERVICE_NAME, derive);
        if (!project.key && derive && token_project)
                project = (struct text){ keys[PROJECT].name, token_project, strlen(token_project) };

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
