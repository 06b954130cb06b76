#pragma once
/* What the commands that read have in common. */

#include <stdbool.h>

#include "detritusctl/cli/commands.h"
#include "storage/index/index_list.h"
#include "util/clock.h"

struct json_object;

/* CTL_OK or, said, CTL_FAILED. */
int reading_open_index(const struct ctl *ctl, struct index **ret);
int reading_open_data_dir(const struct ctl *ctl, int *ret_fd);

/* CTL_FAILED, said; r: -errno, or > 0 when it was the output. When that failed, command_main() says so, and a reader who
 * left the pager is no failure at all: CTL_OK. */
int reading_failed(int r);

/* Values of options; CTL_OK or, said, CTL_USAGE. */
int reading_moment(const char *option, const char *text, struct moment *ret);
int reading_count(const char *option, const char *text, uint64_t max, uint64_t *ret);
int reading_bytes(const char *option, const char *text, uint64_t *ret); /* config_parse_size() */
int reading_cursor(const char *text, struct index_cursor *ret);

/* < 0: it is no id. */
int64_t reading_id(const char *text);

/* A member as text, borrowed; "" where there is none. */
const char *reading_text(struct json_object *object, const char *key);

/* "there is more: --after …", on standard error, below the list; to people also that there is none of `what`. */
void reading_say_more(const struct index_page *page, const char *what);

/* Waits so long, or less when nobody reads standard output any more: then false. What was printed is flushed before. */
bool reading_wait(int ms);
