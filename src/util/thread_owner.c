#include "util/thread_owner.h"

#include <unistd.h>

/* gettid() is a system call; a thread's number never changes, and fork() in our programs is followed by exec(). */
static pid_t my_tid(void)
{
        static _Thread_local pid_t tid;
        if (tid == 0)
                tid = gettid();
        return tid;
}

void thread_owner_take(struct thread_owner *o)
{
        pid_t nobody = 0;
        bool taken = atomic_compare_exchange_strong(&o->tid, &nobody, my_tid());
        assert(taken);
        (void)taken;
}

void thread_owner_release(struct thread_owner *o)
{
        assert(thread_owner_is_me(o));
        atomic_store(&o->tid, 0);
}

bool thread_owner_allows(const struct thread_owner *o)
{
        pid_t tid = atomic_load_explicit(&o->tid, memory_order_relaxed);
        return tid == 0 || tid == my_tid();
}

bool thread_owner_is_me(const struct thread_owner *o)
{
        return atomic_load_explicit(&o->tid, memory_order_relaxed) == my_tid();
}
