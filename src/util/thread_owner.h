#pragma once
/* Which thread an object belongs to, so that its functions can assert who calls them. Zero-initialised: nobody's
 * yet, and any thread may call, as while starting and after stopping. */

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct thread_owner {
        _Atomic pid_t tid; /* 0: nobody's */
};

void thread_owner_take(struct thread_owner *o);         /* from now on: the calling thread's; it was nobody's */
void thread_owner_release(struct thread_owner *o);      /* by the owner, when its thread ends: nobody's */
bool thread_owner_allows(const struct thread_owner *o); /* the calling thread's, or nobody's */
bool thread_owner_is_me(const struct thread_owner *o);  /* the calling thread's */

/* The calling thread owns *o, or nobody does. Costs a compare. */
#define assert_on_thread(o) assert(thread_owner_allows(o))

/* The opposite: for what waits for the owner, and so must not be called by it. */
#define assert_not_on_thread(o) assert(!thread_owner_is_me(o))
