#pragma once
/* What the commands that read have in common. */

#include <stdbool.h>

#include "detritusctl/commands.h"
#include "storage/crashes/index.h"
#include "util/clock.h"

/* CTL_OK or, said, CTL_FAILED. */
int reading_open_index(const struct ctl *ctl, struct index **ret);
int reading_open_data_dir(const struct ctl *ctl, int *ret_fd);

/* Values of options; CTL_OK or, said, CTL_USAGE. */
int reading_moment(const char *option, const char *text, struct moment *ret);
int reading_count(const char *option, const char *text, uint64_t max, uint64_t *ret);
int reading_bytes(const char *option, const char *text, uint64_t *ret); /* KiB, MiB, GiB */
int reading_cursor(const char *text, struct index_cursor *ret);

/* < 0: it is no id. */
int64_t reading_id(const char *text);

/* "there is more: --after …", on standard error, below the list; to people also that there is none of `what`. */
void reading_say_more(const struct index_page *page, const char *what);

/* Waits so long, or less when nobody reads standard output any more: then false. What was printed is flushed before. */
bool reading_wait(int ms);
