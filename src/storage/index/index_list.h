#pragma once
/* Lists for people. Each crash and source comes as one JSON object, made by SQLite, so that one statement serves tables
 * and scripts alike: in a list, the columns of crash_overview; of one crash, all that is known. No statement is open
 * while a callback runs, so that a reader who takes his time holds up no checkpoint. */

#include "storage/index/index.h"

typedef int (*index_json_cb)(void *userdata, const char *json);

#define INDEX_TIME_SIZE 25 /* of our own times: milliseconds, NUL */

/* Where a page ended, and the next one begins. Zero-initialised: at the beginning. */
struct index_cursor {
        char at[INDEX_TIME_SIZE]; /* received_at of a crash, last_seen_at of a source; "": the beginning */
        int64_t id;
};

/* Which crashes. NULL: any. */
struct index_crash_filter {
        const char *project, *install_id, *platform, *version, *kind;
        const struct moment *since, *until; /* received at or after; before */
        const char *grep;                   /* panic_text has this, in lower or upper case (of ASCII) */
        uint64_t grep_depth;                /* the most panic texts that are looked at for it; 0: all */
};

/* What is asked for, and what came of it. */
struct index_page {
        struct index_cursor after; /* in: what it begins after */
        size_t max;                /* in: the most rows; 0: all */
        size_t n;                  /* rows handed out */
        bool more;                 /* there are more rows after `end` */
        bool looked_enough;        /* grep_depth was reached: nobody knows what comes after `end` */
        uint64_t looked;           /* with grep: how many panic texts were looked at */
        struct index_cursor end;
};

/* The newest receipt first. */
int index_list_crashes(struct index *x, const struct index_crash_filter *filter, struct index_page *page,
                       index_json_cb cb, void *userdata);
int index_show_crash(struct index *x, int64_t id, index_json_cb cb, void *userdata); /* -ENOENT */
/* The ids of crashes whose dump's hash starts with this (lower-case hex), newest first. */
int index_find_crashes(struct index *x, const char *hash_prefix, size_t max, int64_t *ret_ids, size_t *ret_n);

/* For following: a number that changes when somebody has committed something; the newest id; the crashes with greater
 * ids in their order, *id moving on. */
int index_data_version(struct index *x, int64_t *ret);
int index_newest_crash(struct index *x, int64_t *ret_id);
int index_new_crashes(struct index *x, const struct index_crash_filter *filter, int64_t *id, index_json_cb cb,
                      void *userdata);

/* Sources, the one heard from last first. project NULL: any. */
int index_list_sources(struct index *x, const char *project, struct index_page *page, index_json_cb cb, void *userdata);
int index_show_source(struct index *x, int64_t id, index_json_cb cb, void *userdata); /* -ENOENT */
/* The ids of the sources with this install_id; project NULL: in any. */
int index_find_sources(struct index *x, const char *project, const char *install_id, size_t max, int64_t *ret_ids,
                       size_t *ret_n);

/* The last use of every token that ever was used. */
typedef int (*index_token_use_cb)(void *userdata, const char *token_id, const char *last_used_at);
int index_token_uses(struct index *x, index_token_use_cb cb, void *userdata);

/* For a look at a data directory: crashes; sources and crashes since a moment, at most `max` each; and when the last
 * crash came. */
struct index_counts {
        uint64_t crashes, sources, crashes_since;
        char newest[INDEX_TIME_SIZE]; /* "": there is none */
};
int index_counts(struct index *x, unsigned max, struct moment since, struct index_counts *ret);

/* Who sends: today's log files, or the newest `max` crashes since a moment, by source. Strings live for the call only.
 * */
struct index_activity {
        const char *project, *install_id;
        uint64_t bytes, lines; /* of the day's log file; lines 0: nobody counted */
        uint64_t crashes;      /* 0: this is about logs */
};
typedef int (*index_activity_cb)(void *userdata, const struct index_activity *row);
int index_log_activity(struct index *x, const char *day, unsigned max, index_activity_cb cb, void *ud);
int index_crash_activity(struct index *x, struct moment since, unsigned max, index_activity_cb cb, void *ud);
