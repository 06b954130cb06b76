/* Who sent a ResourceLogs: the four source.* attributes that detritus-client sets or, for stock exporters, what the
 * OpenTelemetry resource conventions offer in their place. Of several attributes with one name the first counts, and
 * only if it is a string, as in detritus-server 0.1.0.
 *
 * What was sent as source.* must be right. A name that is derived is made right: nobody chose it to be a directory. */

#include <errno.h>
#include <string.h>

#include "protocol/otlp/otlp.h"
#include "protocol/otlp/otlp_view.h"
#include "util/buf.h"

enum key {
        PROJECT,
        PLATFORM,
        OS_TYPE,
        VERSION,
        SERVICE_VERSION,
        INSTALL_ID,
        KEYS,
};

#define KEY(text)                                                                                                      \
        {                                                                                                              \
                text, sizeof(text) - 1                                                                                 \
        }

static const struct otlp_derive_name keys[KEYS] = {
        [PROJECT] = KEY("source.project"),
        [PLATFORM] = KEY("source.platform"),
        [OS_TYPE] = KEY("os.type"),
        [VERSION] = KEY("source.version"),
        [SERVICE_VERSION] = KEY("service.version"),
        [INSTALL_ID] = KEY("source.install_id"),
};

struct text {
        bool is_present;
        const char *data;
        size_t len;
};

/* What a resource says under a list of names. */
struct answers {
        const struct otlp_derive_name *names;
        unsigned n;
        uint64_t met; /* one bit for each name */
        struct text texts[OTLP_DERIVE_NAMES_MAX];
};

_Static_assert(KEYS <= OTLP_DERIVE_NAMES_MAX && OTLP_DERIVE_NAMES_MAX <= 64, "room for both lists, a bit for each");

static void note(struct answers *a, struct otlp_pair pair)
{
        unsigned k = 0;
        size_t len = otlp_len(pair.key);
        while (k < a->n && (a->names[k].len != len || memcmp(a->names[k].text, pair.key.at, len) != 0))
                k++;
        if (k == a->n || a->met >> k & 1)
                return;
        a->met |= UINT64_C(1) << k;
        struct otlp_field value = otlp_any(pair.value);
        if (value.number == OTLP_ANY_STRING)
                a->texts[k] = (struct text){ true, (const char *)value.bytes.at, otlp_len(value.bytes) };
}

static void read_attributes(struct otlp_span resource, struct answers *own, struct answers *stock)
{
        struct otlp_field field = { 0 };
        while (otlp_next(&resource, &field)) {
                if (field.number != 1)
                        continue;
                struct otlp_pair pair = otlp_pair(field.bytes);
                note(own, pair);
                note(stock, pair);
        }
}

static int refuse_missing(struct refusal *r, enum key key)
{
        return refuse(r, ANSWER_MALFORMED, "missing resource attribute `%s`", keys[key].text);
}

static int take_component(const struct text *t, enum key key, char ret[SOURCE_COMPONENT_MAX + 1], struct refusal *r)
{
        if (!source_component_valid(t->data, t->len))
                return refuse(r, ANSWER_MALFORMED,
                              "resource attribute `%s` cannot name a source: it must be 1 to %d characters of "
                              "A-Z a-z 0-9 . _ - @ + : ~ and not start with a dot",
                              keys[key].text, SOURCE_COMPONENT_MAX);
        memcpy(ret, t->data, t->len);
        ret[t->len] = '\0';
        return 0;
}

/* ---- a derived name ---- */

/* SDKs that were told no name say "unknown_service" or "unknown_service:node": of two attributes, that is one too
 * few. */
static bool says_nothing(const struct otlp_derive_name *name, const struct text *t)
{
        static const char service[] = "service.name", unknown[] = "unknown_service";
        return name->len == sizeof(service) - 1 && memcmp(name->text, service, name->len) == 0 &&
               t->len >= sizeof(unknown) - 1 && memcmp(t->data, unknown, sizeof(unknown) - 1) == 0;
}

/* 0 or -ENOMEM. */
static int join(const struct text *a, const struct text *b, char ret[SOURCE_COMPONENT_MAX + 1])
{
        _cleanup_(buf_done) struct buf name = { 0 };
        if (buf_append(&name, a->data, a->len) < 0 || buf_append_char(&name, '@') < 0 ||
            buf_append(&name, b->data, b->len) < 0)
                return -ENOMEM;
        source_component_escape(name.data, name.len, ret);
        return 0;
}

static int derive_install_id(const struct otlp_derive *derive, const struct answers *stock, const char *token_id,
                             char ret[SOURCE_COMPONENT_MAX + 1])
{
        for (unsigned i = 0; i < derive->n_rules; i++) {
                const struct otlp_derive_rule *rule = &derive->rules[i];
                const struct text *a = &stock->texts[rule->first], *b = &stock->texts[rule->second];
                if (a->len == 0 || b->len == 0)
                        continue;
                if (!rule->is_pair) {
                        source_component_escape(a->data, a->len, ret);
                        return 0;
                }
                if (!says_nothing(&derive->names[rule->first], a) && !says_nothing(&derive->names[rule->second], b))
                        return join(a, b, ret);
        }
        source_component_escape(token_id, strlen(token_id), ret);
        return 0;
}

/* ---- all four ---- */

static int take_project(const struct answers *own, const char *token_project, struct otlp_source *s, struct refusal *r)
{
        struct text project = own->texts[PROJECT];
        if (!project.is_present && token_project)
                project = (struct text){ true, token_project, strlen(token_project) };
        return project.is_present ? take_component(&project, PROJECT, s->id.project, r) : refuse_missing(r, PROJECT);
}

static void take_label(const struct text *t, const char **ret, size_t *ret_len)
{
        *ret = t->is_present ? t->data : "";
        *ret_len = t->len;
}

/* Everything must be there. */
static int check_present(const struct otlp_resource_logs *logs, const struct answers *own, struct refusal *r)
{
        static const enum key needed[] = { PROJECT, PLATFORM, VERSION, INSTALL_ID };
        if (!logs->resource.at)
                return refuse(r, ANSWER_MALFORMED, "resource_logs.resource is required");
        for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
                if (!own->texts[needed[i]].is_present)
                        return refuse_missing(r, needed[i]);
        }
        return 0;
}

static const struct text *either(const struct answers *own, enum key first, enum key stock, bool derive)
{
        return &own->texts[own->texts[first].is_present || !derive ? first : stock];
}

int otlp_source(const struct otlp_resource_logs *logs, const struct otlp_derive *derive, const struct otlp_token *token,
                struct otlp_source *ret, struct refusal *r)
{
        struct answers own = { .names = keys, .n = KEYS }, stock = { 0 };
        struct otlp_source s;
        int a = 0;
        if (derive) {
                stock.names = derive->names;
                stock.n = derive->n_names;
        }
        if (logs->resource.at)
                read_attributes(logs->resource, &own, &stock);
        if (!derive)
                a = check_present(logs, &own, r);
        if (a == 0)
                a = take_project(&own, derive ? token->project : NULL, &s, r);
        if (a != 0)
                return a;
        if (own.texts[INSTALL_ID].is_present || !derive)
                a = take_component(&own.texts[INSTALL_ID], INSTALL_ID, s.id.install_id, r);
        else
                a = derive_install_id(derive, &stock, token->id, s.id.install_id);
        if (a != 0)
                return a;
        take_label(either(&own, PLATFORM, OS_TYPE, derive), &s.platform, &s.platform_len);
        take_label(either(&own, VERSION, SERVICE_VERSION, derive), &s.version, &s.version_len);
        *ret = s;
        return 0;
}
