#pragma once
/* The one table that says what an errno means for the data, by the kind of call that said it
 * (docs/adr/0013-errors.md). Pure. */

#include <stdbool.h>

enum failure {
        FAILURE_PASSING, /* it may be gone the next time: answer "come again", and go on */
        FAILURE_REQUEST, /* this request cannot be done, now or later; others can */
        FAILURE_FINAL,   /* written data may be lost: nothing may be acknowledged any more */
};

/* Only the sync of written data can be final, and an I/O error of a write, which may be of an earlier one: write(2). */
enum failure_call {
        FAILURE_NAME,  /* open, mkdir, link, rename, unlink, stat, read, truncate: about names, or undone as a whole */
        FAILURE_WRITE, /* write, fallocate, and what SQLite says (storage/index/index_statement.c) */
        FAILURE_SYNC,  /* durable_sync(), durable_sync_dir() (also its open), durable_sync_all() */
};

/* error: -errno. */
enum failure failure_of(enum failure_call call, int error);

/* For the client and the operator: what is wrong, in words. */
const char *failure_words(int error);

/* Is the error about permission? A person has to put that right. */
bool failure_is_denial(int error);
bool failure_is_full(int error);        /* no space, or a quota */
bool failure_is_descriptors(int error); /* no descriptor is free */
