#include "captured.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "detritusctl/screen/screen.h"

static int stream = -1, kept = -1, from = -1;
static char text[65536];

static void redirect(int which, int to)
{
        assert(stream < 0);
        fflush(NULL);
        stream = which;
        kept = dup(which);
        if (kept < 0 || to < 0 || dup2(to, which) < 0)
                abort();
}

void captured_begin(int which)
{
        from = memfd_create("captured", MFD_CLOEXEC);
        redirect(which, from);
}

void captured_begin_terminal(unsigned columns)
{
        const struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)columns };
        from = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (from < 0 || grantpt(from) < 0 || unlockpt(from) < 0 || ioctl(from, TIOCSWINSZ, &size) < 0)
                abort();
        int terminal = open(ptsname(from), O_RDWR | O_NOCTTY | O_CLOEXEC);
        redirect(STDOUT_FILENO, terminal);
        close(terminal);
        screen_init();
        screen_set_color("never");
}

static void read_all(void)
{
        size_t len = 0;
        ssize_t n = 0;
        lseek(from, 0, SEEK_SET); /* a terminal does not mind */
        while (len + 1 < sizeof(text) &&
               (n = read(from, text + len, sizeof(text) - 1 - len)) > 0) /* EIO: all was read */
                len += (size_t)n;
        text[len] = '\0';
        char *to = text;
        for (const char *p = text; *p; p++) {
                if (*p != '\r')
                        *to++ = *p;
        }
        *to = '\0';
}

const char *captured_end(void)
{
        assert(stream >= 0);
        fflush(NULL);
        if (dup2(kept, stream) < 0)
                abort();
        close(kept);
        read_all();
        close(from);
        stream = kept = from = -1;
        screen_init();
        return text;
}
