#include "detritusctl/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detritusctl/screen.h"

extern char **environ;

static pid_t pager = -1;

static const char *choose(void)
{
        static const char *const names[] = { "DETRITUS_PAGER", "PAGER" };
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                const char *value = getenv(names[i]);
                if (value)
                        return *value && strcmp(value, "cat") != 0 ? value : NULL;
        }
        return "less";
}

/* The pager's standard input is what we write; `exec` so that its end is seen as the shell's. */
static int start(const char *command, int in)
{
        char line[1024];
        posix_spawn_file_actions_t actions;
        char *const argv[] = { "sh", "-c", line, NULL };
        if (snprintf(line, sizeof(line), "exec %s", command) >= (int)sizeof(line))
                return -ENAMETOOLONG;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        int r = posix_spawnp(&pager, "sh", &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

void pager_start(void)
{
        const char *command = choose();
        int ends[2];
        if (!screen_is_terminal() || !command || pager > 0 || pipe2(ends, O_CLOEXEC) < 0)
                return;
        setenv("LESS", "FRX", 0); /* quit if it fits, colours as they are, leave the screen as it was */
        fflush(stdout);
        if (start(command, ends[0]) == 0 && dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO)
                signal(SIGPIPE, SIG_IGN); /* a reader that leaves is an EPIPE */
        close(ends[0]);
        close(ends[1]);
}

void pager_finish(void)
{
        if (pager <= 0)
                return;
        fclose(stdout);
        while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
                ;
        pager = -1;
}

bool pager_was_quit(void)
{
        return pager > 0;
}
