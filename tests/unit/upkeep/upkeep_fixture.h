#pragma once
/* Crashes and log files in a data directory that is storage_dir, or a directory below it. */

#include "storage_fixture.h"

/* dir ends with a slash, or is "" for storage_dir itself. The blob and the JSON file, of a crash received at
 * 1700000000. */
void upkeep_put_crash(const char *dir, const char *timestamp, const char *dump);
void upkeep_put_log(const char *dir, const char *day, const char *text); /* of acme, INSTALL_A */
void upkeep_pack_log(const char *dir, const char *day, const char *text);

/* Where they are, below storage_dir. */
const char *upkeep_blob(const char *dir, const char *dump, char ret[512]);
const char *upkeep_mirror(const char *dir, const char *timestamp, const char *dump, char ret[512]);
const char *upkeep_log(const char *dir, const char *day, const char *ending, char ret[512]);

void upkeep_expect_text(const char *path, const char *expected); /* NULL: it is not there */
void upkeep_remove(const char *path);
