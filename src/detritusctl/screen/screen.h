#pragma once
/* What standard output is, as it was at the start (a pager comes in between later), and how things look on it: colours,
 * times, JSON. One of the process; main thread. */

#include <stdbool.h>
#include <stddef.h>

#include "util/clock.h"

void screen_init(void);
void screen_set_color(const char *when); /* "auto", "always", "never" */

bool screen_is_terminal(void);
bool screen_is_dumb(void);   /* $TERM: no colours, and less would ask for a key before anything */
size_t screen_columns(void); /* 0: no terminal, no limit */
/* A terminal with less than 140 columns: paths get a line of their own, and of an installation there is the beginning. */
bool screen_is_narrow(void);
bool screen_has_color(void);

enum screen_style { SCREEN_HEAD, SCREEN_DIM, SCREEN_GOOD, SCREEN_WARN, SCREEN_BAD };
/* What turns a style on, and all of them off; "" without colour. */
const char *screen_on(enum screen_style style);
const char *screen_off(void);

#define SCREEN_TIME_SIZE 40
/* An RFC 3339 time, as a database has it: "3 min ago" on a terminal, "2026-05-19T08:30:00Z" else. What is no time stays
 * as it is, cut. */
void screen_time(const char *rfc3339, char ret[SCREEN_TIME_SIZE]);
void screen_moment(struct moment at, char ret[SCREEN_TIME_SIZE]);
/* "3 min ago", "in 2 h", "now". Pure. */
void screen_relative(struct moment at, struct moment now, char ret[SCREEN_TIME_SIZE]);
/* "2 d 4 h", "41 s". Pure. */
void screen_duration(uint64_t seconds, char ret[SCREEN_TIME_SIZE]);

/* JSON text as a line; made harmless for a terminal. An index_json_cb with any userdata. 0, -ENOMEM, -EIO. */
int screen_json(void *userdata, const char *json);
