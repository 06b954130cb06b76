/* Preloaded into a daemon, this shifts its CLOCK_REALTIME by the seconds that a file holds, read at each call, so
 * that a test sets the clock while the daemon runs. Other clocks, and the files' times, stay right: as when somebody
 * sets the clock. DETRITUS_CLOCK_SHIFT names the file. */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long shift_secs(void)
{
        char text[32];
        const char *path = getenv("DETRITUS_CLOCK_SHIFT");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
        if (fd >= 0)
                close(fd);
        text[n > 0 ? n : 0] = '\0';
        return strtoll(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
        int r = (int)syscall(SYS_clock_gettime, clock, ts);
        if (r == 0 && clock == CLOCK_REALTIME)
                ts->tv_sec += shift_secs();
        return r;
}
