#include "detritusctl/cli/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/ctl.h"
#include "detritusctl/screen/pager.h"
#include "detritusctl/screen/terminal.h"

static char at_end[256];

static void say(const char *fmt, va_list args, const char *hint)
{
        char text[1024];
        _cleanup_(buf_done) struct buf line = { 0 };
        vsnprintf(text, sizeof(text), fmt, args);
        if (terminal_line(&line, text, 0) == 0)
                fprintf(stderr, "detritusctl: %.*s%s\n", (int)line.len, (const char *)line.data, hint);
}

int say_failed(const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        say(fmt, args, "");
        va_end(args);
        return CTL_FAILED;
}

int say_usage(const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        say(fmt, args, " (see --help)");
        va_end(args);
        return CTL_USAGE;
}

void say_note(const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        say(fmt, args, "");
        va_end(args);
}

int say_error(const char *doing, int r)
{
        if (r > 0 || ferror(stdout))
                return pager_was_quit() ? CTL_OK : CTL_FAILED;
        return say_failed("cannot %s: %s", doing, strerror(-r));
}

void say_at_end(const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        vsnprintf(at_end, sizeof(at_end), fmt, args);
        va_end(args);
}

void say_finish(void)
{
        if (at_end[0])
                say_note("%s", at_end);
}
