#pragma once
/* The numbered files of sql/, embedded at build time: migrations[i] takes the database to user_version i + 1. */

extern const char *const migrations[];
extern const unsigned migrations_count;
