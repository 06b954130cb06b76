/* Lists of up to 64 entries are the usual case. They are walked from the last entry to the first, and a 64-bit filter
 * of the keys seen so far shows in most cases, without a comparison, that a key is new. Longer lists are sorted. */

#include "protocol/otlp/otlp_keys.h"

#include <errno.h>
#include <string.h>

static inline bool same_key(const struct otlp_span *a, const struct otlp_span *b)
{
        return otlp_len(*a) == otlp_len(*b) && memcmp(a->at, b->at, otlp_len(*a)) == 0;
}

static inline uint64_t filter_bit(const struct otlp_span *key)
{
        size_t n = otlp_len(*key);
        if (n == 0)
                return 1;
        return UINT64_C(1) << ((key->at[0] + 7u * key->at[n / 2] + 31u * key->at[n - 1] + 13u * n) % 64);
}

static bool comes_later(const struct otlp_pair *list, size_t n, size_t i, uint64_t shown)
{
        for (size_t k = i + 1; k < n; k++) {
                if (shown >> k & 1 && same_key(&list[i].key, &list[k].key))
                        return true;
        }
        return false;
}

static uint64_t shown_of_few(const struct otlp_pair *list, size_t n)
{
        uint64_t filter = 0, shown = 0;
        for (size_t i = n; i-- > 0;) {
                uint64_t bit = filter_bit(&list[i].key);
                if (!list[i].value.at || (filter & bit && comes_later(list, n, i, shown)))
                        continue;
                filter |= bit;
                shown |= UINT64_C(1) << i;
        }
        return shown;
}

struct entry {
        const struct otlp_span *key;
        size_t index;
};

static int compare_entries(const void *left, const void *right)
{
        const struct entry *a = left, *b = right;
        size_t left_len = otlp_len(*a->key), right_len = otlp_len(*b->key);
        if (left_len != right_len)
                return left_len < right_len ? -1 : 1;
        int c = memcmp(a->key->at, b->key->at, left_len);
        if (c != 0)
                return c;
        return a->index < b->index ? -1 : a->index > b->index;
}

static int show_many(struct otlp_keys *k, const struct otlp_pair *list, size_t n)
{
        _cleanup_(freep) struct entry *sorted = calloc(n, sizeof(*sorted));
        size_t entries = 0;
        k->many = calloc(n / 64 + 1, sizeof(*k->many));
        if (!sorted || !k->many)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                if (list[i].value.at)
                        sorted[entries++] = (struct entry){ &list[i].key, i };
        }
        qsort(sorted, entries, sizeof(*sorted), compare_entries);
        for (size_t i = 0; i < entries; i++) {
                if (i + 1 == entries || !same_key(sorted[i].key, sorted[i + 1].key))
                        k->many[sorted[i].index / 64] |= UINT64_C(1) << (sorted[i].index % 64);
        }
        return 0;
}

int otlp_keys_init(struct otlp_keys *k, const struct otlp_pair *list, size_t n)
{
        *k = (struct otlp_keys){ 0 };
        if (n > 64)
                return show_many(k, list, n);
        k->few = shown_of_few(list, n);
        return 0;
}
