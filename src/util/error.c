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

void error_prefix(struct error *err, const char *fmt, ...)
{
        if (!err)
                return;
        char text[sizeof(err->text)];
        va_list args;
        va_start(args, fmt);
        int n = vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        size_t used = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
        snprintf(text + used, sizeof(text) - used, ": %s", err->text);
        memcpy(err->text, text, sizeof(text));
}
