#include "protocol/uuid.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* 36 characters, 8-4-4-4-12. */
static bool is_hyphenated(const char *s)
{
        for (size_t i = 0; i < 36; i++) {
                bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
                if (hyphen ? s[i] != '-' : !strchr("0123456789abcdefABCDEF", s[i]))
                        return false;
        }
        return true;
}

bool uuid_normalise(const char *s, char ret[UUID_SIZE])
{
        size_t len = strlen(s);
        if (len == 32) {
                snprintf(ret, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", s, s + 8, s + 12, s + 16, s + 20);
        } else {
                if (len == 38 && s[0] == '{' && s[37] == '}')
                        s++;
                else if (len == 45 && strncasecmp(s, "urn:uuid:", 9) == 0)
                        s += 9;
                else if (len != 36)
                        return false;
                snprintf(ret, UUID_SIZE, "%.36s", s);
        }
        if (!is_hyphenated(ret))
                return false;
        for (char *c = ret; *c; c++) {
                if (*c >= 'A' && *c <= 'F')
                        *c = (char)(*c - 'A' + 'a');
        }
        return true;
}
