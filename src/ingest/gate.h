#pragma once
/* The gate: every request needs a bearer token here, except those of operators.c. Loop's thread. */

#include "auth/verifier.h"

struct call;

enum gate_state {
        GATE_OUTSIDE,   /* no good token was shown yet, or none is needed */
        GATE_VERIFYING, /* the verifier checks the token; the call is parked */
        GATE_INSIDE,    /* principal holds a token */
};

/* The part of a call that is about the gate. Zero-initialised is outside. Moves: outside to verifying or inside,
 * verifying to inside. */
struct gate_visit {
        enum gate_state state;
        struct principal principal;
        struct verification verification; /* the verifier's during GATE_VERIFYING */
        void (*admitted)(struct call *c); /* called once the token is found good */
};
void gate_visit_done(struct gate_visit *v); /* not while the call is parked */

/* What a network thread remembers: the last good tokens. */
struct gate_loop;
struct gate_loop *gate_loop_new(void);                 /* NULL on ENOMEM */
struct gate_loop *gate_loop_free(struct gate_loop *g); /* NULL-safe; the tokens are wiped */

/* Finds out whose token the request shows. Calls admitted(), at once or later, or refuses the request. At most once for
 * each call. */
void gate_admit(struct call *c, void (*admitted)(struct call *c));
