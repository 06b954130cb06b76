#include "detritusctl/screen/size.h"

#include <stdio.h>

#include "util/cleanup.h"

void size_text(uint64_t bytes, char ret[32])
{
        static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
        if (bytes < 1024) {
                snprintf(ret, 32, "%llu B", (unsigned long long)bytes);
                return;
        }
        double value = (double)bytes / 1024;
        size_t unit = 0;
        while (value >= 1023.95 && unit + 1 < ARRAY_LEN(units)) {
                value /= 1024;
                unit++;
        }
        snprintf(ret, 32, "%.1f %s", value, units[unit]);
}
