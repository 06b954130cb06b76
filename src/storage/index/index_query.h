#pragma once
/* SQL that people write themselves, on a connection that was opened for reading (index_open_readonly()). */

#include "storage/index/index.h"

/* A value of a row. Its text lives for the call only. */
struct index_value {
        enum { INDEX_VALUE_NULL, INDEX_VALUE_INTEGER, INDEX_VALUE_REAL, INDEX_VALUE_TEXT, INDEX_VALUE_BLOB } kind;
        int64_t integer;
        double real;
        const char *text; /* of each kind, as SQLite writes it (NULL for INDEX_VALUE_NULL); a blob's in hex */
};

/* First columns(), once, then row() for each row. What they return other than 0 stops, and is returned. */
struct index_query_sink {
        int (*columns)(void *userdata, size_t n, const char *const *names);
        int (*row)(void *userdata, size_t n, const struct index_value *values);
        void *userdata;
};

/* Runs one statement that reads. 0, INDEX_QUERY_REFUSED with err (not SQL, more than one statement, a statement that
 * writes, or one that failed half-way), what the sink returned, or -ENOMEM. */
enum { INDEX_QUERY_REFUSED = 1 };
int index_query(struct index *x, const char *sql, const struct index_query_sink *sink, struct error *err);
