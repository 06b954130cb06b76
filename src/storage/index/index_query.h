#pragma once
/* Questions that people put to the index in SQL of their own, through a connection that was opened for reading
 * (index_open_readonly()). One thread, as with index.h. */

#include "storage/index/index.h"

/* A value of a row. Its text lives for the call only. */
struct index_value {
        enum { INDEX_VALUE_NULL, INDEX_VALUE_INTEGER, INDEX_VALUE_REAL, INDEX_VALUE_TEXT, INDEX_VALUE_BLOB } kind;
        int64_t integer;
        double real;
        const char *text; /* of each kind, as SQLite writes it (NULL for INDEX_VALUE_NULL); a blob's in hex */
};

/* First columns(), once, then row() for each. What they return other than 0 stops, and is returned. */
struct index_query_sink {
        int (*columns)(void *userdata, size_t n, const char *const *names);
        int (*row)(void *userdata, size_t n, const struct index_value *values);
        void *userdata;
};

/* One statement that reads. 0, INDEX_QUERY_REFUSED with words (not SQL, more than one statement, it would write, or it
 * failed on its way), what the sink returned, or -ENOMEM. */
enum { INDEX_QUERY_REFUSED = 1 };
int index_query(struct index *x, const char *sql, const struct index_query_sink *sink, struct error *err);
