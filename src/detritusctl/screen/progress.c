#include "detritusctl/screen/progress.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "util/clock.h"

#define DRAW_NS UINT64_C(100000000)
#define BAR_CELLS 30

static bool drawn;
static uint64_t drawn_ns;

void progress_show(const char *step, uint64_t done, uint64_t all)
{
        uint64_t now = clock_monotonic_ns();
        assert(drawn_ns <= now);
        if (!isatty(STDERR_FILENO) || (done != all && drawn_ns && now - drawn_ns < DRAW_NS))
                return;
        drawn_ns = now;
        drawn = true;
        if (all == 0) {
                fprintf(stderr, "\r\033[K%-10s %llu", step, (unsigned long long)done);
                return;
        }
        int full = done >= all ? BAR_CELLS : (int)(done * BAR_CELLS / all);
        fprintf(stderr, "\r\033[K%-10s [%.*s%*s] %3d%%  %llu of %llu", step, full, "##############################",
                BAR_CELLS - full, "", done >= all ? 100 : (int)(done * 100 / all), (unsigned long long)done,
                (unsigned long long)all);
}

void progress_clear(void)
{
        if (drawn)
                fputs("\r\033[K", stderr);
        drawn = false;
}
