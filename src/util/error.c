#include "util/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_set(struct error *err, const char *fmt, ...)
{
        if (!err)
                return;
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);
}

int error_cannot(struct error *err, int error, const char *doing, const char *what)
{
        error_set(err, "cannot %s%s%s: %s", doing, what ? " " : "", what ? what : "", strerror(-error));
        return error;
}

void error_prefix(struct error *err, const char *fmt, ...)
{
        if (!err)
                return;
        struct error old = *err;
        va_list args;
        va_start(args, fmt);
        int n = vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);
        size_t used = n < 0 ? 0 : (size_t)n;
        for (const char *p = ": "; *p && used < sizeof(err->text) - 1; p++)
                err->text[used++] = *p;
        for (const char *p = old.text; *p && used < sizeof(err->text) - 1; p++)
                err->text[used++] = *p;
        err->text[used < sizeof(err->text) ? used : sizeof(err->text) - 1] = '\0';
}
