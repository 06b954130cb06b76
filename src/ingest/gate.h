#pragma once
/* The gate: every request but those of operators.c shows a bearer token here. Loop's thread. */

#include "auth/verifier.h"

struct call;

enum gate_state {
        GATE_OUTSIDE,   /* no token was found good, or none was asked for */
        GATE_VERIFYING, /* the verifier computes; the call is parked */
        GATE_INSIDE,    /* principal holds a token */
};

/* One call at the gate; embedded in it. Zero-initialised is outside. Moves: outside to verifying or inside, verifying to
 * inside. */
struct gate_visit {
        enum gate_state state;
        struct principal principal;
        struct verification verification; /* the verifier's while verifying */
        void (*admitted)(struct call *c); /* what the call goes on with */
};
void gate_visit_done(struct gate_visit *v); /* not while verifying */

/* What a network thread remembers: the last good tokens. */
struct gate_loop;
struct gate_loop *gate_loop_new(void);                 /* NULL on ENOMEM */
struct gate_loop *gate_loop_free(struct gate_loop *g); /* NULL-safe; the tokens are wiped */

/* Finds out whose token the request carries, then calls admitted(), at once or later; else the request is refused. Once
 * for a call. */
void gate_admit(struct call *c, void (*admitted)(struct call *c));
