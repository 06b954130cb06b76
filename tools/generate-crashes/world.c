#include "world.h"

#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

void world_init(struct world *w, const struct options *o)
{
        int64_t end_ms = o->until.sec * 1000 + o->until.nsec / 1000000;
        *w = (struct world){
                .seed = o->seed,
                .sources = o->sources,
                .projects = o->projects,
                .crashes = o->crashes,
                .start_ms = end_ms - (int64_t)o->days * WORLD_DAY_MS,
                .end_ms = end_ms,
                .days = (unsigned)o->days,
        };
}

/* The finishing step of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static uint64_t mix(uint64_t x)
{
        x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
        return x ^ (x >> 31);
}

uint64_t dice_next(struct dice *d)
{
        d->state += UINT64_C(0x9E3779B97F4A7C15);
        return mix(d->state);
}

struct dice dice_for(const struct world *w, const char *purpose, uint64_t number)
{
        uint64_t state = mix(w->seed + 1);
        for (; *purpose; purpose++)
                state = mix(state ^ (uint8_t)*purpose);
        return (struct dice){ mix(state ^ mix(number + 1)) };
}

uint64_t dice_below(struct dice *d, uint64_t bound)
{
        return dice_next(d) % bound;
}

double dice_fraction(struct dice *d)
{
        return (double)(dice_next(d) >> 11) / (double)(UINT64_C(1) << 53);
}

bool dice_percent(struct dice *d, unsigned percent)
{
        return dice_below(d, 100) < percent;
}

struct moment world_moment(int64_t ms)
{
        return (struct moment){ ms / 1000, (uint32_t)(ms % 1000) * 1000000 };
}

/* Half of the installs are of the first project, a quarter of the second, and so on. */
static uint64_t project_of(const struct world *w, uint64_t number)
{
        uint64_t p = (uint64_t)__builtin_ctzll(number + 1);
        return p < 8 && p < w->projects ? p : number % w->projects;
}

static void name_source(struct world_source *s, struct dice *d)
{
        static const char *const names[] = { "acme", "billing", "compass", "dynamo", "ember" };
        uint64_t high = dice_next(d), low = dice_next(d);

        if (s->project < ARRAY_LEN(names))
                snprintf(s->source.project, sizeof(s->source.project), "%s", names[s->project]);
        else
                snprintf(s->source.project, sizeof(s->source.project), "project-%llu", (unsigned long long)s->project);
        snprintf(s->source.install_id, sizeof(s->source.install_id), "%08llx-%04llx-4%03llx-%04llx-%012llx",
                 (unsigned long long)(high >> 32), (unsigned long long)(high >> 16 & 0xffff),
                 (unsigned long long)(high & 0xfff), (unsigned long long)(0x8000 | (low >> 48 & 0x3fff)),
                 (unsigned long long)(low & UINT64_C(0xffffffffffff)));
}

void world_source(const struct world *w, uint64_t number, struct world_source *ret)
{
        static const struct {
                const char *platform, *target_triple;
        } platforms[] = {
                { "linux", "x86_64-unknown-linux-gnu" }, { "linux", "aarch64-unknown-linux-gnu" },
                { "windows", "x86_64-pc-windows-msvc" }, { "windows", "x86_64-pc-windows-msvc" },
                { "macos", "aarch64-apple-darwin" },     { "android", "aarch64-linux-android" },
        };
        struct dice d = dice_for(w, "source", number);
        struct world_source s = { .project = project_of(w, number), .last_day = w->days - 1 };

        name_source(&s, &d);
        size_t platform = dice_below(&d, ARRAY_LEN(platforms));
        s.platform = platforms[platform].platform;
        s.target_triple = platforms[platform].target_triple;
        s.lag_days = (unsigned)(dice_fraction(&d) * dice_fraction(&d) * w->days / 3);
        s.crashes = dice_percent(&d, 60);
        if (dice_percent(&d, 35)) /* came later */
                s.first_day = (unsigned)dice_below(&d, w->days);
        if (dice_percent(&d, 15)) /* went silent */
                s.last_day = s.first_day + (unsigned)dice_below(&d, w->days - s.first_day);
        if (number == 0) { /* one that is always there */
                s.crashes = true;
                s.first_day = 0;
                s.last_day = w->days - 1;
        }
        *ret = s;
}

/* A new version comes out every so many days; the first was there before. */
unsigned world_version_at(const struct world *w, const struct world_source *s, int64_t ms)
{
        int64_t behind = ms - w->start_ms - (int64_t)s->lag_days * WORLD_DAY_MS;
        if (behind < 0)
                return 0;
        unsigned version = (unsigned)((uint64_t)behind * WORLD_VERSIONS / (uint64_t)(w->end_ms - w->start_ms));
        return version < WORLD_VERSIONS ? version : WORLD_VERSIONS - 1;
}

void world_version_name(const struct world_source *s, unsigned version, char ret[16])
{
        snprintf(ret, 16, "%u.%u.%u", (unsigned)(s->project % 3) + 1, 4 + version / 2, version % 2);
}

/* Bug 7n + v came with version v, others were always there; every fifth of them is mended three versions later. */
unsigned world_bug(struct dice *d, unsigned version)
{
        for (;;) {
                double f = dice_fraction(d);
                unsigned bug = (unsigned)(f * f * f * WORLD_BUGS), since = bug % 7;
                bool mended = bug % 5 == 0 && version >= since + 3;
                if (version >= since && !mended)
                        return bug;
        }
}
