#include "detritusctl/screen/pager.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detritusctl/screen/screen.h"

/* A small machine may have no less(1). */
#define DEFAULT_PAGER "$(command -v less || echo cat)"

extern char **environ;

enum { NOT_STARTED = -1, FINISHED = -2 };

/* Not started; running, its pid; finished. */
static pid_t pager = NOT_STARTED;

static const char *choose(void)
{
        static const char *const names[] = { "DETRITUS_PAGER", "PAGER" };
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                const char *value = getenv(names[i]);
                if (value)
                        return *value && strcmp(value, "cat") != 0 ? value : NULL;
        }
        return DEFAULT_PAGER;
}

/* The pager's standard input is what we write. With `exec` the shell's exit status is the pager's. */
static int start(const char *command, int in, const sigset_t *mask)
{
        char line[1024];
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        char *const argv[] = { "sh", "-c", line, NULL };
        if (snprintf(line, sizeof(line), "exec %s", command) >= (int)sizeof(line))
                return -ENAMETOOLONG;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigmask(&attributes, mask);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        pid_t pid;
        int r = posix_spawnp(&pid, "sh", &actions, &attributes, argv, environ);
        if (r == 0)
                pager = pid;
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* Who interrupts long output wants to see what there is so far, in the pager. If we ended before the pager does, the
 * shell and the pager would both read the terminal. Calls only async-signal-safe functions. */
static void on_interrupt(int number)
{
        close(STDOUT_FILENO);
        waitpid(pager, NULL, 0);
        signal(number, SIG_DFL);
        raise(number);
}

void pager_start(void)
{
        const char *command = choose();
        sigset_t interrupt, before;
        int ends[2];
        assert(pager == NOT_STARTED);
        if (!screen_is_terminal() || !command || pipe2(ends, O_CLOEXEC) < 0)
                return;
        /* Quit if it fits on one screen, show colours, leave the screen as it is, and end on ^C. */
        setenv("LESS", "FRXK", 0);
        fflush(stdout);
        /* An interrupt waits until the handler is there: the pager may be reading the terminal already. */
        sigemptyset(&interrupt);
        sigaddset(&interrupt, SIGINT);
        sigprocmask(SIG_BLOCK, &interrupt, &before);
        if (start(command, ends[0], &before) == 0 && dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO) {
                signal(SIGPIPE, SIG_IGN); /* when the reader leaves, we get EPIPE */
                signal(SIGINT, on_interrupt);
        }
        close(ends[0]);
        close(ends[1]);
        sigprocmask(SIG_SETMASK, &before, NULL);
}

bool pager_finish(void)
{
        int status = 0;
        assert(pager != FINISHED);
        if (pager == NOT_STARTED)
                return true;
        fclose(stdout);
        while (waitpid(pager, &status, 0) < 0 && errno == EINTR)
                ;
        pager = FINISHED;
        return !WIFEXITED(status) || (WEXITSTATUS(status) != 126 && WEXITSTATUS(status) != 127);
}

bool pager_was_quit(void)
{
        return pager > 0;
}
