#pragma once
/* Values that people type: of options, and of arguments. The functions return CTL_OK, or CTL_USAGE after a message that
 * names the option ("--since"). */

#include <stdint.h>

#include "util/clock.h"

int arg_moment(const char *option, const char *text, struct moment *ret);
int arg_count(const char *option, const char *text, uint64_t max, uint64_t *ret);
int arg_bytes(const char *option, const char *text, uint64_t *ret); /* config_parse_size() */

int64_t arg_id(const char *text); /* -1: not an id */
