#pragma once
/* Why something failed, in words for the operator. The function that fails fills it in; whoever handles the failure
 * prints it. Not thread-safe. Owned by the caller, usually on its stack. */

#include "util/cleanup.h"

#ifdef __cplusplus
extern "C" {
#endif

struct error {
        char text[512];
};

/* Writes the text, cut to fit. err may be NULL. */
void error_set(struct error *err, const char *fmt, ...) _printf_(2, 3);

/* "cannot <doing> <what>: <what error means>"; what may be NULL, error is a -errno. Returns the error. err may be
 * NULL. */
int error_cannot(struct error *err, int error, const char *doing, const char *what);

/* Puts "<prefix>: " before the present text. err may be NULL. */
void error_prefix(struct error *err, const char *fmt, ...) _printf_(2, 3);

#ifdef __cplusplus
}
#endif
