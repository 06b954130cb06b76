/* The rules as numbers of attribute names, so that a resource is read once, however many rules name an attribute. */

#include "protocol/otlp/otlp_derive.h"

#include <assert.h>
#include <string.h>

static unsigned number_of(struct otlp_derive *d, const char *text, size_t len)
{
        unsigned i = 0;
        while (i < d->n_names && (d->names[i].len != len || memcmp(d->names[i].text, text, len) != 0))
                i++;
        if (i == d->n_names) {
                assert(i < OTLP_DERIVE_NAMES_MAX);
                d->names[d->n_names++] = (struct otlp_derive_name){ text, len };
        }
        return i;
}

void otlp_derive_add(struct otlp_derive *d, const char *rule)
{
        const char *at = strchr(rule, '@');
        size_t len = at ? (size_t)(at - rule) : strlen(rule);
        assert(d->n_rules < OTLP_DERIVE_RULES_MAX);
        struct otlp_derive_rule *r = &d->rules[d->n_rules++];
        r->first = r->second = number_of(d, rule, len);
        r->is_pair = at != NULL;
        if (at)
                r->second = number_of(d, at + 1, strlen(at + 1));
}
