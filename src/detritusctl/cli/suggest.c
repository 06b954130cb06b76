/* Counts edits: a letter added, removed, replaced, or two swapped (optimal string alignment). A third of the letters
 * may be wrong. What was typed may also be the beginning of a name. */
#include "detritusctl/cli/suggest.h"

#include <string.h>

#define LETTERS_MAX 40 /* a UUID has 36 */

static size_t least(size_t a, size_t b)
{
        return a < b ? a : b;
}

static size_t distance(const char *a, const char *b)
{
        size_t d[LETTERS_MAX + 1][LETTERS_MAX + 1], n = strlen(a), m = strlen(b);
        if (n > LETTERS_MAX || m > LETTERS_MAX)
                return LETTERS_MAX;
        for (size_t i = 0; i <= n; i++) {
                for (size_t j = 0; j <= m; j++) {
                        if (i == 0 || j == 0) {
                                d[i][j] = i + j;
                                continue;
                        }
                        d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
                }
        }
        return d[n][m];
}

void suggest(struct suggestion *nearest, const char *typed, const char *name)
{
        size_t len = strlen(typed), d = distance(typed, name);
        if (len >= 2 && strncmp(typed, name, len) == 0)
                d = 1;
        if (d * 3 > strlen(name) + 1 || d > 3)
                return;
        if (nearest->name && nearest->distance <= d)
                return;
        *nearest = (struct suggestion){ .name = name, .distance = d };
}
