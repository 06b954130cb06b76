#include "protocol/source.h"

#include <string.h>

static bool is_component_char(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr("._-@+:~", c));
}

bool source_component_valid(const char *s, size_t len)
{
        if (len == 0 || len > SOURCE_COMPONENT_MAX || s[0] == '.')
                return false;
        for (size_t i = 0; i < len; i++) {
                if (!is_component_char(s[i]))
                        return false;
        }
        return true;
}

size_t source_canonical(const struct source *s, char ret[SOURCE_CANONICAL_SIZE])
{
        size_t project = strnlen(s->project, SOURCE_COMPONENT_MAX);
        size_t install_id = strnlen(s->install_id, SOURCE_COMPONENT_MAX);
        memcpy(ret, s->project, project);
        ret[project] = '/';
        memcpy(ret + project + 1, s->install_id, install_id);
        ret[project + 1 + install_id] = '\0';
        return project + 1 + install_id;
}
