#include "detritusctl/operate/watch.h"

#include <assert.h>
#include <stdio.h>

#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"

#define INTERVAL_SECS 2
#define INTERVAL_MAX 86400
#define COUNT_MAX 999999999

int watch_run(const struct ctl *ctl, bool repeat, watch_look look, void *userdata)
{
        const char *interval = ctl_value(ctl, "interval"), *times = ctl_value(ctl, "count");
        uint64_t secs = INTERVAL_SECS, count = 0;
        bool fine = true;
        int status = interval ? arg_count("--interval", interval, INTERVAL_MAX, &secs) : CTL_OK;
        if (status == CTL_OK && times)
                status = arg_count("--count", times, COUNT_MAX, &count);
        if (status != CTL_OK)
                return status;
        for (uint64_t i = 0; i == 0 || (repeat && (count == 0 || i < count)); i++) {
                if (i > 0 && !screen_wait((int)secs * 1000))
                        break;
                if (repeat && screen_is_terminal())
                        fputs("\033[H\033[2J", stdout);
                else if (i > 0 && !ctl->json)
                        putchar('\n');
                int r = look(userdata, &fine);
                assert(r <= 0);
                if (r < 0)
                        return say_error("read the database", r);
        }
        return fine ? CTL_OK : CTL_FAILED;
}
