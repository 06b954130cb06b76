#pragma once
/* The numbered files of sql/, embedded at build time: migrations[i] is number i + 1. */

extern const char *const migrations[];
extern const unsigned migrations_count;
