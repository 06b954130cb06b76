#pragma once
/* What standard output is, and how things look on it: colours, times, JSON. It is looked at once, at the start, since a
 * pager comes in between later. One for the process; main thread. */

#include <stdbool.h>
#include <stddef.h>

#include "util/clock.h"

struct buf;

void screen_init(void);
void screen_set_color(const char *when); /* "auto", "always", "never" */

bool screen_is_terminal(void);
bool screen_is_dumb(void);   /* $TERM: no colours, and less would ask for a key before it shows anything */
size_t screen_columns(void); /* 0: not a terminal, no limit */
/* A terminal with fewer than 140 columns: paths get a line of their own, and installations are cut. */
bool screen_is_narrow(void);
bool screen_has_color(void);

enum screen_style { SCREEN_HEAD, SCREEN_DIM, SCREEN_GOOD, SCREEN_WARN, SCREEN_BAD };
/* What turns a style on, and what turns all of them off; "" without colour. */
const char *screen_on(enum screen_style style);
const char *screen_off(void);

#define SCREEN_TIME_SIZE 40
/* An RFC 3339 time, as the database has it: "3 min ago" on a terminal, else "2026-05-19T08:30:00Z". Text that is not a
 * time is copied, and cut. */
void screen_time(const char *rfc3339, char ret[SCREEN_TIME_SIZE]);
void screen_moment(struct moment at, char ret[SCREEN_TIME_SIZE]);
/* "3 min ago", "in 2 h", "now". Pure. */
void screen_relative(struct moment at, struct moment now, char ret[SCREEN_TIME_SIZE]);
/* "2 d 4 h", "41 s". Pure. */
void screen_duration(uint64_t seconds, char ret[SCREEN_TIME_SIZE]);

/* Prints. 0, the buffer's error, or -EIO. */
int screen_put(const struct buf *text);
/* Prints JSON text as a line, harmless for a terminal. An index_json_cb with any userdata. 0, -ENOMEM, -EIO. */
int screen_json(void *userdata, const char *json);
int screen_json_line(struct buf *json); /* what json_write.h wrote; changes *json. Also returns the buffer's error */

/* Waits that long, or less when nobody reads standard output any more: then false. What was printed is flushed first.
 */
bool screen_wait(int ms);
