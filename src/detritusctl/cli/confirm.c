#include "detritusctl/cli/confirm.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "detritusctl/cli/say.h"
#include "detritusctl/screen/terminal.h"

static bool ask(const char *question)
{
        char line[16];
        _cleanup_(buf_done) struct buf shown = { 0 };
        if (terminal_line(&shown, question, 0) < 0)
                return false;
        fprintf(stderr, "%.*s? [y/N] ", (int)shown.len, (const char *)shown.data);
        fflush(stderr);
        return fgets(line, sizeof(line), stdin) && (strcasecmp(line, "y\n") == 0 || strcasecmp(line, "yes\n") == 0);
}

int confirm(const struct ctl *ctl, const char *fmt, ...)
{
        char question[1024];
        va_list args;
        if (ctl->yes)
                return CTL_OK;
        va_start(args, fmt);
        vsnprintf(question, sizeof(question), fmt, args);
        va_end(args);
        if (!isatty(STDIN_FILENO))
                return say_failed("there is no terminal to ask on; use --yes to %s", question);
        return ask(question) ? CTL_OK : say_failed("nothing was done");
}
