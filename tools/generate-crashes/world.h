#pragma once
/* Who crashes: the projects, installs, versions and bugs that a seed makes. Everything is worked out again from the
 * seed when it is asked, so a world of any size needs no memory. Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "options.h"
#include "protocol/source.h"

#define WORLD_VERSIONS 8
#define WORLD_BUGS 240
#define WORLD_DAY_MS (INT64_C(24) * 3600 * 1000)

/* A row of random numbers. */
struct dice {
        uint64_t state;
};

struct world {
        uint64_t seed, sources, projects, crashes;
        int64_t start_ms, end_ms; /* since 1970 */
        unsigned days;
};

/* One install, with the days of the world on which it was there. */
struct world_source {
        struct source source;
        uint64_t project;
        const char *platform, *target_triple;
        unsigned first_day, last_day;
        unsigned lag_days; /* how long after its release it takes a new version */
        bool crashes;
};

void world_init(struct world *w, const struct options *o);

/* Rows for one purpose and one number of it. */
struct dice dice_for(const struct world *w, const char *purpose, uint64_t number);
uint64_t dice_next(struct dice *d);
uint64_t dice_below(struct dice *d, uint64_t bound);
double dice_fraction(struct dice *d);                /* 0 <= it < 1 */
bool dice_percent(struct dice *d, unsigned percent); /* true that often */

struct moment world_moment(int64_t ms);

void world_source(const struct world *w, uint64_t number, struct world_source *ret);
/* The version that a source runs at a time: 0 to WORLD_VERSIONS - 1; and its name. */
unsigned world_version_at(const struct world *w, const struct world_source *s, int64_t ms);
void world_version_name(const struct world_source *s, unsigned version, char ret[16]);

/* A bug that this version has: 0 to WORLD_BUGS - 1, a few far more often than the others. */
unsigned world_bug(struct dice *d, unsigned version);
