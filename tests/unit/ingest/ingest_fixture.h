#pragma once
/* A use case's surroundings without a network: a store in a temporary place, a loop that runs when a test says so, and
 * requests whose transport keeps the answer. */

#include "storage_fixture.h"

#include "http/request_internal.h"
#include "ingest/call.h"

extern struct config *fixture_config; /* may be changed before a request */
extern struct ingest fixture_ingest;
extern struct ingest_loop fixture_loop;

int ingest_setup(void **state); /* for a group of tests */
int ingest_teardown(void **state);
int fixture_new_loop(void); /* for a test that stopped the last one */

/* The answer to the last request, as its transport got it. */
struct fixture_answer {
        unsigned answers, closes;
        int status;
        struct buf fields; /* "name: value\n", trailers included; NUL-terminated once an answer is there */
        struct buf body;   /* likewise */
};
extern struct fixture_answer fixture_answer;

/* A POST whose head is whole. fields: "name", "value", ..., NULL. The fixture's until fixture_request_done(). */
struct http_request *fixture_request(const char *path, unsigned version, const char *const *fields);
void fixture_request_done(void);

/* The call is inside the gate with a token of project "acme" and source_prefix "acme/". */
extern struct tokens fixture_tokens;
void fixture_let_in(struct call *c);

void fixture_expect_field(const char *line); /* "retry-after: 5" */
void fixture_expect_no_field(const char *name);
int64_t fixture_requests_in_flight(void);
