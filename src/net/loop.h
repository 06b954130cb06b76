#pragma once
/* An epoll loop: one thread, its descriptors, tasks posted from other threads, and a tick a second. Everything but
 * loop_post*() and loop_stop() belongs to the thread that runs the loop, which is asserted. Before loop_run() and
 * after it any one thread may call. */

#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"

struct loop;

/* A descriptor under watch; embedded by its owner, who keeps it until loop_remove(). */
struct loop_io {
        int fd;
        void (*ready)(struct loop_io *io, uint32_t events); /* EPOLL* bits; may remove and free any io */
};

/* Something to run once; embedded by its owner, who must not touch it until run(). */
struct loop_task {
        struct loop_task *next; /* the loop's */
        void (*run)(struct loop_task *task);
};

/* 0 or -errno. */
int loop_new(struct loop **ret);
struct loop *loop_free(struct loop *l); /* NULL-safe; runs tasks still posted; nobody may be posting any more */
DEFINE_FREEP(loop_free, struct loop)

/* Called about once a second. */
void loop_set_tick(struct loop *l, void (*tick)(void *userdata), void *userdata);

/* events: EPOLLIN, EPOLLOUT, EPOLLEXCLUSIVE, EPOLLET. 0 or -errno. */
int loop_add(struct loop *l, struct loop_io *io, uint32_t events);
int loop_modify(struct loop *l, struct loop_io *io, uint32_t events);
void loop_remove(struct loop *l, struct loop_io *io); /* its ready() is not called again, not even in this pass */

/* Any thread. Tasks run in the order posted. */
void loop_post(struct loop *l, struct loop_task *task);
/* Several at once, linked by next from the last one, which is to run last, to the first. */
void loop_post_list(struct loop *l, struct loop_task *last, struct loop_task *first);

/* Runs task at the end of the present pass, once everything that was ready has been seen: for writing out what a pass
 * produced in one go. Loop's thread. */
void loop_defer(struct loop *l, struct loop_task *task);
void loop_undefer(struct loop *l, struct loop_task *task); /* takes it back; it must be deferred */

/* The calling thread may use the loop and what belongs to it: for assertions. */
bool loop_is_mine(const struct loop *l);

/* When the present pass began, CLOCK_MONOTONIC. */
uint64_t loop_now_ns(const struct loop *l);

/* Serves until loop_stop(). 0 or -errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l); /* any thread */
