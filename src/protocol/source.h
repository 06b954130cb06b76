#pragma once
/* Who sent something: project and install_id name the source. Both become names of directories, so few characters are
 * allowed. Pure. */

#include <stdbool.h>
#include <stddef.h>

#define SOURCE_COMPONENT_MAX 128 /* bytes */

struct source {
        char project[SOURCE_COMPONENT_MAX + 1];
        char install_id[SOURCE_COMPONENT_MAX + 1];
};

#define SOURCE_CANONICAL_SIZE (2 * SOURCE_COMPONENT_MAX + 2)

/* 1 to 128 bytes of A-Z a-z 0-9 . _ - @ + : ~, not starting with a dot. */
bool source_component_valid(const char *s, size_t len);

/* Makes any name a valid component: bytes that are not allowed, "~" and a leading dot become "~" and two upper-case hex
 * digits. A name that then has more than SOURCE_COMPONENT_MAX bytes is cut, not within an escape, and ends in "~~" and
 * the first 16 hex digits of the SHA-256 of the name; no other name has "~~". The name must not be empty. */
void source_component_escape(const void *name, size_t len, char ret[SOURCE_COMPONENT_MAX + 1]);

/* "<project>/<install_id>". Returns its length. */
size_t source_canonical(const struct source *s, char ret[SOURCE_CANONICAL_SIZE]);
