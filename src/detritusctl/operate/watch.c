#include "detritusctl/operate/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"

#define INTERVAL_SECS 2
#define INTERVAL_MAX 86400

int watch_number(const struct ctl *ctl, const char *option, unsigned max, unsigned *ret)
{
        const char *text = ctl_value(ctl, option);
        if (!text)
                return CTL_OK;
        size_t len = strlen(text);
        if (len == 0 || len > 9 || strspn(text, "0123456789") != len || strtoul(text, NULL, 10) > max)
                return say_usage("--%s is not a number up to %u", option, max);
        *ret = (unsigned)strtoul(text, NULL, 10);
        return CTL_OK;
}

/* False: nobody reads any more. */
static bool wait_for_next(unsigned secs)
{
        struct pollfd out = { .fd = STDOUT_FILENO, .events = 0 }; /* POLLERR comes without being asked for */
        if (fflush(stdout) != 0)
                return false;
        return poll(&out, 1, (int)secs * 1000) == 0 || (out.revents & (POLLERR | POLLNVAL)) == 0;
}

int watch_run(const struct ctl *ctl, bool repeat, watch_look look, void *userdata)
{
        unsigned secs = INTERVAL_SECS, count = 0;
        bool fine = true;
        int status = watch_number(ctl, "interval", INTERVAL_MAX, &secs);
        if (status == CTL_OK)
                status = watch_number(ctl, "count", 999999999, &count);
        if (status != CTL_OK)
                return status;
        for (unsigned i = 0; i == 0 || (repeat && (count == 0 || i < count)); i++) {
                if (i > 0 && !wait_for_next(secs))
                        break;
                if (repeat && screen_is_terminal())
                        fputs("\033[H\033[2J", stdout);
                else if (i > 0 && !ctl->json)
                        putchar('\n');
                int r = look(userdata, &fine);
                if (r < 0)
                        return say_failed("%s", strerror(-r));
        }
        return fine ? CTL_OK : CTL_FAILED;
}
