#include "detritusctl/cli/say.h"

#include <stdarg.h>
#include <stdio.h>

#include "detritusctl/cli/commands.h"
#include "detritusctl/screen/terminal.h"

static void say(const char *fmt, va_list args, const char *behind)
{
        char text[1024];
        _cleanup_(buf_done) struct buf line = { 0 };
        vsnprintf(text, sizeof(text), fmt, args);
        if (terminal_line(&line, text, 0) == 0)
                fprintf(stderr, "detritusctl: %.*s%s\n", (int)line.len, (const char *)line.data, behind);
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

static char below[256];

void say_below(const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        vsnprintf(below, sizeof(below), fmt, args);
        va_end(args);
}

void say_what_stands_below(void)
{
        if (below[0])
                say_note("%s", below);
}
