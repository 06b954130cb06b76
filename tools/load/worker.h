#pragma once
/* One thread of load: some of the connections, an epoll loop, and what it counted. */

#include <pthread.h>

#include "load.h"

struct worker {
        struct load_run *run;
        const uint8_t *filler; /* options->bytes long, for crash bodies */
        unsigned index;        /* 0 to options->threads - 1 */
        pthread_t thread;
        struct load_counts counts;
        const char *error; /* why it could not even begin; NULL: it did */
};

/* The thread's function; the worker is borrowed. Returns NULL. */
void *worker_main(void *worker);
