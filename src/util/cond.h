#pragma once
/* Condition variables whose waits end by CLOCK_MONOTONIC, which nobody can set. */

#include <pthread.h>
#include <time.h>

void cond_init(pthread_cond_t *c);

/* For pthread_cond_timedwait(): this long from now. */
struct timespec cond_deadline(unsigned ms);
