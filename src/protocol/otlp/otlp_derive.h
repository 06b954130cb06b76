#pragma once
/* How the resources of stock exporters are named: the rules of `derive_install_id`, read once. Immutable afterwards. */

#include <stdbool.h>
#include <stddef.h>

#define OTLP_DERIVE_RULES_MAX 16
#define OTLP_DERIVE_NAMES_MAX (2 * OTLP_DERIVE_RULES_MAX)

/* Zero-initialised has no rules. */
struct otlp_derive {
        unsigned n_names, n_rules;
        struct otlp_derive_name { /* an attribute's, once */
                const char *text;
                size_t len;
        } names[OTLP_DERIVE_NAMES_MAX];
        struct otlp_derive_rule {
                bool is_pair;
                unsigned first, second; /* indexes of names; the same without a pair */
        } rules[OTLP_DERIVE_RULES_MAX];
};

/* rule: "host.name" or "service.name@host.name". Its text is borrowed. There is room for OTLP_DERIVE_RULES_MAX. */
void otlp_derive_add(struct otlp_derive *d, const char *rule);
