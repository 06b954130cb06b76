#pragma once
/* What index_check.c and index_copy.c share: statements that are made for once. */

#include "storage/index/index_internal.h"

void index_finalizep(sqlite3_stmt **s);
int index_prepare_once(struct index *x, const char *sql, sqlite3_stmt **ret); /* 0 or -errno */
int index_step_once(struct index *x, sqlite3_stmt *s);                        /* INDEX_ROW, 0, -errno */
int index_execute(struct index *x, const char *sql);
/* A statement without rows and with one text. */
int index_run_with(struct index *x, const char *sql, const char *text);
/* In the one that is open, else in one of its own. */
int index_in_transaction(struct index *x, const char *sql);
