#pragma once
/* Lines of a log as the daemon writes them, put into a test's data directory. */

#include <stdbool.h>

#include "storage_fixture.h"

#define DAY_1 "2026-05-18"
#define DAY_2 "2026-05-19"
#define SECOND_1 INT64_C(1779062400) /* 2026-05-18T00:00:00Z */

/* {"time_unix_nano":…,…,"body":"<body>"…} and a newline, to be freed. */
char *planted_text(int64_t sec, int severity, const char *body);

/* Appends to logs/<project>/<install_id>/<day>.ndjson. */
void planted_append(const char *source, const char *day, const char *text);
void planted_add(const char *source, const char *day, int64_t sec, int severity, const char *body);

/* As the janitor does it: compressed, and the plain file gone, if so. */
void planted_compress(const char *source, const char *day, bool remove_plain);
