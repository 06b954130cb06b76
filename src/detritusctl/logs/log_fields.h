#pragma once
/* Where in a log line the members stand that people want to see, without a parse of the whole line: most of the time of
 * printing went into that. Pure. */

#include <stdbool.h>
#include <stddef.h>

struct log_field {
        const char *text; /* the JSON value as it stands, borrowed; NULL: it is not there */
        size_t len;
        bool escapes; /* it has a backslash */
};

struct log_fields {
        struct log_field severity_text, body, attributes;
};

/* The line must look like those that the daemon writes: one object without white space, these members at most max_depth
 * deep. False: it does not, so nothing is known of it. The values are told apart, and not checked. */
bool log_fields_find(const char *text, size_t len, unsigned max_depth, struct log_fields *ret);
