#pragma once
/* The daemon's own log: one line per event on standard error, as text for people ("pretty") or as JSON. Field values
 * are escaped, so a line is always one line. Thread-safe: each line is one write(2). Never pass a token or a secret.
 *
 *     log_info("listening", LOG_STR("addr", addr), LOG_INT("port", port));
 */

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_PRETTY, LOG_FORMAT_JSON };

struct log_field {
        const char *key; /* NULL ends a list */
        const char *str; /* NULL: num counts */
        int64_t num;
};

#define LOG_STR(k, v)                                                                                                  \
        (struct log_field)                                                                                             \
        {                                                                                                              \
                .key = (k), .str = (v)                                                                                 \
        }
#define LOG_INT(k, v)                                                                                                  \
        (struct log_field)                                                                                             \
        {                                                                                                              \
                .key = (k), .num = (int64_t)(v)                                                                        \
        }

/* Call before threads start. min: events below it are dropped. */
void log_setup(enum log_format format, enum log_level min);

/* fields ends with a zeroed one. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define log_at(level, message, ...)                                                                                    \
        log_write((level), (message), (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ .key = NULL } })
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
