#include "auth/token_form.h"

#include <string.h>

#define GENERATED_SECRET_CHARS 43 /* 256 bits of base64url */

static bool is_base64url(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                bool alnum =
                        (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');
                if (!alnum && s[i] != '-' && s[i] != '_')
                        return false;
        }
        return true;
}

/* dt_<id>_<43 characters>: the length of the secret tells where the id ends, whatever underscores either holds.
 * 0 when the token has another form. */
static size_t generated_id_len(const char *presented, size_t len)
{
        const size_t around = 3 + 1 + GENERATED_SECRET_CHARS;
        if (len <= around || memcmp(presented, "dt_", 3) != 0)
                return 0;
        size_t id_len = len - around;
        if (presented[3 + id_len] != '_' || !is_base64url(presented + 4 + id_len, GENERATED_SECRET_CHARS))
                return 0;
        return id_len;
}

/* The entry that a token beginning with "dt_" names: by the generated form, else the longest id that fits. */
static const struct token *named_entry(const struct tokens *set, const char *presented, size_t len, size_t generated)
{
        const struct token *longest = NULL;
        size_t longest_len = 0;
        for (size_t i = 0; i < set->n; i++) {
                size_t id_len = strlen(set->list[i].id);
                if (id_len + 4 > len || presented[3 + id_len] != '_' ||
                    memcmp(presented + 3, set->list[i].id, id_len) != 0)
                        continue;
                if (id_len == generated)
                        return &set->list[i];
                if (id_len > longest_len) {
                        longest = &set->list[i];
                        longest_len = id_len;
                }
        }
        return longest;
}

struct token_candidates token_form_candidates(const struct tokens *set, const char *presented, size_t len)
{
        const struct token_candidates all = { .first = set->list, .n = set->n };
        if (len < 3 || memcmp(presented, "dt_", 3) != 0)
                return all;
        size_t generated = generated_id_len(presented, len);
        const struct token *named = named_entry(set, presented, len, generated);
        if (named)
                return (struct token_candidates){ .first = named, .n = 1, .named = true };
        return generated > 0 ? (struct token_candidates){ .first = set->list } : all;
}

bool token_form_is_generated(const struct token *t, const char *presented, size_t len)
{
        size_t id_len = generated_id_len(presented, len);
        return id_len > 0 && strlen(t->id) == id_len && memcmp(presented + 3, t->id, id_len) == 0;
}
