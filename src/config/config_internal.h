#pragma once
/* What config.c (defaults, flags) and config_file.c share: the table of keys, and how a value is checked and stored.
 *
 * The keys that the configuration file may hold, as one table: where each value lives in struct config, what it may be
 * and what it is by default. Everything that reads, defaults or checks a setting walks this table. */

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum config_type {
        CONFIG_COUNT,  /* an integer */
        CONFIG_BYTES,  /* an integer, or a string with KiB, MiB or GiB */
        CONFIG_BOOL,   /* true or false; def 0 or 1 */
        CONFIG_CHOICE, /* one of choices, stored as its index */
        CONFIG_TEXT,   /* a non-empty string; def_text or NULL */
};

struct config_key {
        const char *section; /* "" for the top */
        const char *name;
        enum config_type type;
        size_t offset, size; /* of the field in struct config */
        uint64_t min, max, def;
        const char *def_text;
        const char *const *choices; /* NULL-terminated */
};

extern const struct config_key config_keys[];
extern const size_t config_n_keys;

const struct config_key *config_key_find(const char *section, const char *name); /* NULL: unknown */

int config_check_bounds(const struct config_key *k, uint64_t value, struct error *err); /* as the next ones */
/* Checks a value and stores it where its key says. 0, CONFIG_REFUSED with a bare reason, or -ENOMEM. */
int config_store_bounded(struct config *c, const struct config_key *k, uint64_t value, struct error *err);
int config_store_choice(struct config *c, const struct config_key *k, const char *text, struct error *err);
int config_store_text(struct config *c, const struct config_key *k, const char *text, struct error *err);
void config_store_number(struct config *c, const struct config_key *k, uint64_t value); /* unchecked */

int config_refuse_size(const char *text, struct error *err); /* CONFIG_REFUSED: that is not a size */
int config_listener_add(struct config *c, const char *address, struct error *err);
void config_listeners_clear(struct config *c);
/* Without a rule, the token's id is the name. */
int config_derive_add(struct config *c, const char *rule, struct error *err);
void config_derive_clear(struct config *c);
int config_replace_text(char **to, const char *text); /* 0 or -ENOMEM */
