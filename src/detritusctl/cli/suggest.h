#pragma once
/* The name that somebody probably meant. Pure. */

#include <stddef.h>

struct suggestion {
        const char *name; /* NULL: none is near */
        size_t distance;
};

/* Takes `name` when it is nearer to what was typed than what was taken before. */
void suggest(struct suggestion *nearest, const char *typed, const char *name);
