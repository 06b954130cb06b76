/* Who owns an object: a call from the wrong thread ends the process. */

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/thread_owner.h"

static void *call(void *owner)
{
        assert_on_thread((struct thread_owner *)owner);
        return NULL;
}

static void *call_what_waits(void *owner)
{
        assert_not_on_thread((struct thread_owner *)owner);
        return NULL;
}

static void *own_and_wait(void *owner)
{
        thread_owner_take(owner);
        return call_what_waits(owner);
}

/* The signal that ended a process whose second thread ran `function`; 0: it went well. */
static int signal_of(void *(*function)(void *), struct thread_owner *owner)
{
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                pthread_t thread;
                signal(SIGABRT, SIG_DFL);
                setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
                close(STDERR_FILENO);
                _exit(pthread_create(&thread, NULL, function, owner) || pthread_join(thread, NULL));
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_wrong_thread_is_caught(void **state)
{
        (void)state;
        struct thread_owner owner = { 0 };
        assert_int_equal(signal_of(call, &owner), 0); /* nobody's */
        thread_owner_take(&owner);
        call(&owner);
        assert_int_equal(signal_of(call, &owner), SIGABRT);
        thread_owner_release(&owner);
        assert_int_equal(signal_of(call, &owner), 0);
}

static void the_owner_may_not_wait_for_itself(void **state)
{
        (void)state;
        struct thread_owner owner = { 0 };
        assert_int_equal(signal_of(own_and_wait, &owner), SIGABRT);
        assert_false(thread_owner_is_me(&owner));
        thread_owner_take(&owner);
        assert_true(thread_owner_is_me(&owner));
        assert_int_equal(signal_of(call_what_waits, &owner), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_wrong_thread_is_caught),
                cmocka_unit_test(the_owner_may_not_wait_for_itself),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
